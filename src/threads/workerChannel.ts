import { MessageChannel, type MessagePort } from 'node:worker_threads'
import type {
  ReplyOf,
  ChannelReply,
  ChannelRequest,
  ConnectionCounts,
  Request,
  TaskOf,
  ThreadLogLine,
} from '../protocol/tasks.js'
import { Batcher } from '../structures/batcher.js'
import { SlotMap } from '../structures/slotMap.js'

const NO_CONNECTIONS: ConnectionCounts = { open: 0, pipelined: 0 }

/** The thread died before it replied. The boards show what that means for each delivery: see `CrashAttribution`. */
export class ThreadDied extends Error {
  override readonly name = 'ThreadDied'
  /** 0 if it died before it had started. */
  readonly thread: number
  /** Whether it had started. */
  readonly ready: boolean

  constructor(
    message: string,
    { thread, ready }: { thread: number; ready: boolean },
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.thread = thread
    this.ready = ready
  }

  /** Why the thread died. */
  get reason(): string {
    const { cause } = this
    return cause instanceof Error ? cause.message : this.message
  }
}

/** The caller's promise. A thread replies to each request with the reply type of that request: see perform() in workers/thread.ts. */
interface Pending {
  resolve(value: ReplyOf<Request>): void
  reject(error: Error): void
}

export interface ChannelListener {
  logged(thread: number, line: ThreadLogLine): void
  ready(): void
  /** The thread died, or could not start; its requests are not rejected yet. */
  died(death: ThreadDied): void
}

/**
 * The channel to one thread. The requests of one turn of the event loop cross in one message, and so do the replies: a
 * message costs more than its content.
 *
 * A channel outlives its thread. The life cycle of the thread at its other end:
 *
 *                 open()              {hello}                {ready}
 *     ┌────────┐ ────────► ┌─────────┐ ─────► ┌─────────────┐ ─────► ┌───────┐ ask(), reply
 *     │  none  │           │ opening │        │  starting   │        │ ready │ ◄──────────┐
 *     └────────┘           └─────────┘        │ setup module│        └───────┘ ───────────┘
 *        ▲  │                   │             └─────────────┘            │
 *        │  │                   └────────────────────┴───────────────────┘
 *        │  │                                 │ the thread dies: break()
 *        │  │ close()                         ▼
 *        │  ▼                       every pending request is rejected
 *        │ closed                             │
 *        └────────────────────────────────────┘ Pool opens it again for the next thread
 *
 * Requests made while there is no thread wait for the next one. After `close()` they are rejected at once.
 */
export class WorkerChannel {
  /** Id of the thread at the other end; 0 while there is none. */
  thread = 0
  /** The SMTP connections of the thread. */
  connections: ConnectionCounts = NO_CONNECTIONS
  /** Whether the thread has started and takes requests. */
  ready = false
  #closed = false
  readonly #pending = new SlotMap<Pending>()
  readonly #requests = new Batcher<ChannelRequest>(() => this.#flush())
  #port: MessagePort | undefined
  readonly #listener: ChannelListener

  constructor(listener: ChannelListener) {
    this.#listener = listener
  }

  get load(): number {
    return this.#pending.size
  }

  /** Opens the channel for a new thread. @returns the thread's port, to be transferred to it */
  open(): MessagePort {
    const { port1, port2 } = new MessageChannel()
    port1.on('message', (replies: ChannelReply[]) => {
      for (const reply of replies) this.#settle(reply)
    })
    // The thread itself keeps the process alive.
    port1.unref()
    this.#port = port1
    this.#flush()
    return port2
  }

  /** Sends a request. Rejects with {@link ThreadDied}, or with the thread's error. */
  ask<R extends Request>(ask: R, task: TaskOf<R>): Promise<ReplyOf<R>> {
    if (this.#closed)
      return Promise.reject(new ThreadDied('The threads were terminated.', { thread: 0, ready: false }))
    return new Promise((resolve, reject) => {
      const id = this.#pending.add({ resolve, reject })
      this.#requests.add({ id, ask, task } as ChannelRequest)
    })
  }

  /** Rejects every pending request: the thread died. @param cause why, if it is known */
  break(cause: unknown): void {
    const death = new ThreadDied('The thread died.', this, { cause })
    this.#port?.close()
    this.#port = undefined
    this.thread = 0
    this.connections = NO_CONNECTIONS
    this.ready = false
    this.#requests.take()
    if (!this.#closed) this.#listener.died(death)
    for (const pending of this.#pending.takeAll()) pending.reject(death)
  }

  /** Rejects every request, now and in future: no further thread will be started. */
  close(): void {
    this.#closed = true
    this.break(undefined)
  }

  /** Sends the requests. Between two threads they stay until the channel is opened again. */
  #flush(): void {
    if (this.#port === undefined || this.#requests.size === 0) return
    const requests = this.#requests.take()
    try {
      this.#port.postMessage(requests)
    } catch (error) {
      // A value that can't be cloned. Jobs are plain data, so this is a defect; it must not crash the process.
      for (const { id } of requests) this.#settle({ id, error: String(error) })
    }
  }

  #settle(reply: ChannelReply): void {
    if ('hello' in reply) {
      this.thread = reply.hello
      return
    }
    if ('log' in reply) {
      this.#listener.logged(this.thread, reply.log)
      return
    }
    if ('ready' in reply) {
      this.ready = true
      this.#listener.ready()
      return
    }
    if ('connections' in reply) {
      this.connections = reply.connections
      return
    }
    const pending = this.#pending.take(reply.id)
    if ('error' in reply) pending?.reject(new Error(reply.error))
    else pending?.resolve(reply.value)
  }
}
