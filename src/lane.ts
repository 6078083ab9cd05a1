import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { Numbered } from './numbered.js'
import type { LaneAnswer, LaneRequest, ThreadLogLine } from './wire.js'

/** The thread ended before it answered. What that means is for the phase board to say. */
export class ThreadDied extends Error {
  override readonly name = 'ThreadDied'
}

interface Pending {
  resolve(value: unknown): void
  reject(error: Error): void
}

/**
 * The line to one thread. What is asked within one turn of the event loop crosses in one message, and so do the
 * answers: a message costs more than what is in it.
 *
 * A lane outlives its thread: when that dies, everything asked of it is rejected, and the lane is opened again to the
 * thread that takes its place. What is asked meanwhile waits for that.
 */
export class Lane {
  /** Of the thread at the other end; 0 while there is none. */
  thread = 0
  /** That the thread has open. */
  connections = 0
  readonly #pending = new Numbered<Pending>()
  #requests: LaneRequest[] = []
  #port: MessagePort | undefined
  readonly #logged: (thread: number, line: ThreadLogLine) => void

  constructor(logged: (thread: number, line: ThreadLogLine) => void) {
    this.#logged = logged
  }

  get load(): number {
    return this.#pending.size
  }

  /** @returns the thread's end of the line, to be transferred to it */
  open(): MessagePort {
    const { port1, port2 } = new MessageChannel()
    port1.on('message', (answers: LaneAnswer[]) => {
      for (const answer of answers) this.#settle(answer)
    })
    // The thread itself keeps the process alive.
    port1.unref()
    this.#port = port1
    this.#flush()
    return port2
  }

  /** Rejects with {@link ThreadDied}, or with what the thread threw. */
  ask(request: LaneRequest['ask'], task?: object): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const id = this.#pending.add({ resolve, reject })
      if (this.#requests.push({ id, ask: request, task }) === 1) setImmediate(() => this.#flush())
    })
  }

  /** Its thread died, for this reason as far as it is known: everything it was asked is rejected. */
  break(cause: unknown): void {
    this.#port?.close()
    this.#port = undefined
    this.thread = 0
    this.connections = 0
    this.#requests = []
    for (const one of this.#pending.takeAll()) one.reject(new ThreadDied('The thread ended.', { cause }))
  }

  /** Between two threads nothing is sent: the requests stay until the lane is opened again. */
  #flush(): void {
    if (this.#port === undefined || this.#requests.length === 0) return
    const requests = this.#requests
    this.#requests = []
    try {
      this.#port.postMessage(requests)
    } catch (error) {
      // Something that can't cross. Jobs are plain data, so this is a defect; it must not take the process along.
      for (const { id } of requests) this.#settle({ id, error: String(error) })
    }
  }

  #settle(answer: LaneAnswer): void {
    if ('hello' in answer) {
      this.thread = answer.hello
      return
    }
    if ('log' in answer) {
      this.#logged(this.thread, answer.log)
      return
    }
    if ('connections' in answer) {
      this.connections = answer.connections
      return
    }
    const pending = this.#pending.take(answer.id)
    if ('error' in answer) pending?.reject(new Error(answer.error))
    else pending?.resolve(answer.value)
  }
}
