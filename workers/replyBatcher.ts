import type { MessagePort } from 'node:worker_threads'
import type { ChannelReply, ThreadLogLine } from '../src/protocol/tasks.js'

/** So many cross at once, at most. */
const FULL = 16
/** Milliseconds an answer may wait for company. */
const PATIENCE = 1

/**
 * The answers of a thread on their way back. Each crossing wakes the main thread, which costs more than what crosses:
 * while others are under way an answer waits for them a moment, and one alone goes at once.
 */
export class ReplyBatcher {
  readonly #port: MessagePort
  /** Answers that are still owed. */
  #owed = 0
  #ready: ChannelReply[] = []
  #due = false
  #timer: NodeJS.Timeout | undefined

  constructor(port: MessagePort) {
    this.#port = port
  }

  owe(count: number): void {
    this.#owed += count
  }

  give(answer: ChannelReply): void {
    this.#owed--
    this.#put(answer)
  }

  /** A line for the log keeps its place among the answers. */
  say(log: ThreadLogLine): void {
    this.#put({ log })
  }

  /** How many connections there are, whenever that has changed. */
  count(connections: number): void {
    this.#put({ connections })
  }

  #put(answer: ChannelReply): void {
    this.#ready.push(answer)
    if (this.#due) return
    this.#due = true
    setImmediate(() => this.#look())
  }

  /** At the end of a turn of the event loop. */
  #look(): void {
    this.#due = false
    if (this.#owed <= 0 || this.#ready.length >= FULL) this.#send()
    else this.#timer ??= setTimeout(() => this.#send(), PATIENCE)
  }

  #send(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#ready.length === 0) return
    this.#port.postMessage(this.#ready)
    this.#ready = []
  }
}
