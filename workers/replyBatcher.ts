import type { MessagePort } from 'node:worker_threads'
import type { ChannelReply, ThreadLogLine, ConnectionCounts } from '../src/protocol/tasks.js'
import { Batcher } from '../src/structures/batcher.js'

/** Replies in one message, after which it is sent without waiting. */
const FULL = 16
/** Milliseconds that a reply may wait for others. */
const MAX_WAIT = 1

/**
 * Batches the replies of a thread to the main thread. Each message wakes the main thread, which costs more than the
 * content: while other requests are in progress a reply waits for them briefly; the last outstanding one is sent at once.
 */
export class ReplyBatcher {
  readonly #port: MessagePort
  /** Requests without a reply. */
  #outstanding = 0
  readonly #ready = new Batcher<ChannelReply>(() => this.#sendIfFull())
  /** The memory of what `load` functions returned and no block contains. It moves to the main thread, which would copy it otherwise. */
  #moving: ArrayBuffer[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(port: MessagePort) {
    this.#port = port
  }

  expect(count: number): void {
    this.#outstanding += count
  }

  reply(reply: ChannelReply): void {
    this.#outstanding--
    this.#moving.push(...loadedBytes(reply))
    this.#ready.add(reply)
  }

  /** Adds a log line, in order with the replies. */
  log(log: ThreadLogLine): void {
    this.#ready.add({ log })
  }

  /** Reports the thread's connections after a change. */
  reportConnections(connections: ConnectionCounts): void {
    this.#ready.add({ connections })
  }

  /** Runs at the end of each turn of the event loop that added a reply. */
  #sendIfFull(): void {
    if (this.#outstanding <= 0 || this.#ready.size >= FULL) this.#send()
    else this.#timer ??= setTimeout(() => this.#send(), MAX_WAIT)
  }

  #send(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#ready.size === 0) return
    this.#port.postMessage(this.#ready.take(), this.#moving)
    this.#moving = []
  }
}

/** Returns the memory of the attachments that a `load` function returned. Nothing else refers to it: see `readLoaded`. */
function loadedBytes(reply: ChannelReply): ArrayBuffer[] {
  if (!('value' in reply) || reply.value === undefined || !('result' in reply.value)) return []
  if (reply.value.result !== 'loaded') return []
  return (reply.value.value.attachments ?? []).flatMap(({ content }) =>
    content instanceof Uint8Array && content.buffer instanceof ArrayBuffer ? [content.buffer] : [],
  )
}
