import { MessageChannel, type MessagePort } from 'node:worker_threads'
import type {
  ReplyOf,
  ChannelReply,
  ChannelRequest,
  Request,
  TaskOf,
  ThreadLogLine,
} from '../protocol/tasks.js'
import { SlotMap } from '../structures/slotMap.js'

/** The thread ended before it answered. What that means is for the boards to say: see `Blame`. */
export class ThreadDied extends Error {
  override readonly name = 'ThreadDied'
  /** 0 where it died before it had started. */
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

  /** What the thread died of. */
  get reason(): string {
    const { cause } = this
    return cause instanceof Error ? cause.message : this.message
  }
}

/** Who asked; a thread answers each request with what belongs to it: see perform() in workers/thread.ts. */
interface Pending {
  resolve(value: ReplyOf<Request>): void
  reject(error: Error): void
}

export interface ChannelListener {
  logged(thread: number, line: ThreadLogLine): void
  ready(): void
  /** The thread died, or could not start; what it was asked is not rejected yet. */
  died(death: ThreadDied): void
}

/**
 * The line to one thread. What is asked within one turn of the event loop crosses in one message, and so do the
 * answers: a message costs more than what is in it.
 *
 * A lane outlives its thread: when that dies, everything asked of it is rejected, and the lane is opened again to the
 * thread that takes its place. What is asked meanwhile waits for that.
 */
export class WorkerChannel {
  /** Of the thread at the other end; 0 while there is none. */
  thread = 0
  /** That the thread has open. */
  connections = 0
  /** Whether it takes requests; before, it starts. */
  ready = false
  #closed = false
  readonly #pending = new SlotMap<Pending>()
  #requests: ChannelRequest[] = []
  #port: MessagePort | undefined
  readonly #listener: ChannelListener

  constructor(listener: ChannelListener) {
    this.#listener = listener
  }

  get load(): number {
    return this.#pending.size
  }

  /** @returns the thread's end of the line, to be transferred to it */
  open(): MessagePort {
    const { port1, port2 } = new MessageChannel()
    port1.on('message', (answers: ChannelReply[]) => {
      for (const answer of answers) this.#settle(answer)
    })
    // The thread itself keeps the process alive.
    port1.unref()
    this.#port = port1
    this.#flush()
    return port2
  }

  /** Rejects with {@link ThreadDied}, or with what the thread threw. */
  ask<R extends Request>(ask: R, task: TaskOf<R>): Promise<ReplyOf<R>> {
    if (this.#closed)
      return Promise.reject(new ThreadDied('The threads were ended.', { thread: 0, ready: false }))
    return new Promise((resolve, reject) => {
      const id = this.#pending.add({ resolve, reject })
      const request = { id, ask, task } as ChannelRequest
      if (this.#requests.push(request) === 1) setImmediate(() => this.#flush())
    })
  }

  /** Its thread died, for this reason as far as it is known: everything it was asked is rejected. */
  break(cause: unknown): void {
    const death = new ThreadDied('The thread ended.', this, { cause })
    this.#port?.close()
    this.#port = undefined
    this.thread = 0
    this.connections = 0
    this.ready = false
    this.#requests = []
    if (!this.#closed) this.#listener.died(death)
    for (const one of this.#pending.takeAll()) one.reject(death)
  }

  /** No thread will take the last one's place. */
  close(): void {
    this.#closed = true
    this.break(undefined)
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

  #settle(answer: ChannelReply): void {
    if ('hello' in answer) {
      this.thread = answer.hello
      return
    }
    if ('log' in answer) {
      this.#listener.logged(this.thread, answer.log)
      return
    }
    if ('ready' in answer) {
      this.ready = true
      this.#listener.ready()
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
