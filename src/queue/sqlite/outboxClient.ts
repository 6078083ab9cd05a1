import { Worker } from 'node:worker_threads'
import { ThreadpostError } from '../../errors.js'
import { threadFile, threadFlags } from '../../protocol/threadFile.js'
import { Batcher } from '../../structures/batcher.js'
import { SlotMap } from '../../structures/slotMap.js'
import type {
  Answer,
  FromOutbox,
  OutboxSetup,
  Report,
  Request,
  RequestKind,
  Requests,
} from './outboxProtocol.js'

/** Milliseconds before a thread that exited is restarted, and before a refused file is tried again. */
const RESTART_DELAY = 250
/** Milliseconds that the thread has to close the file. */
const CLOSE_TIMEOUT = 5_000

export interface OutboxListener {
  /** Called after the answers of the same report. */
  report(report: Report): void
  /** Called when nothing can be stored, with the reason; with undefined once the outbox works again. */
  unavailable(problem: string | undefined): void
  /** Called when no new messages are accepted, with the reason, while accepted ones are still delivered; with undefined once they are again. */
  refusing(problem: string | undefined): void
  /** Called when a new thread has replaced one that exited. It doesn't know which messages are claimed. */
  restarted(): void
}

type Result<K extends RequestKind> = { failure: ThreadpostError } | { failure?: never; answer: Answer<K> }
type Done<K extends RequestKind> = (result: Result<K>) => void

/**
 * The main thread's connection to the outbox thread: numbered requests, sent together once per turn of the event loop, and
 * their answers. A thread that exits is replaced; its unanswered requests fail with `QUEUE_UNAVAILABLE`.
 */
export class OutboxClient {
  readonly #file = threadFile('outbox.js')
  readonly #setup: OutboxSetup
  readonly #listener: OutboxListener
  readonly #pending = new SlotMap<Done<never>>()
  readonly #outgoing = new Batcher<Request>(() => this.#flush())
  #worker: Worker | undefined
  #starting: Worker | undefined
  #restart: NodeJS.Timeout | undefined
  #turn = 0
  #closing = false
  #problem = 'the outbox thread is starting'

  private constructor(setup: OutboxSetup, listener: OutboxListener) {
    this.#setup = setup
    this.#listener = listener
  }

  /** @throws ThreadpostError `START_FAILED` if the file can't be the queue */
  static async start(setup: OutboxSetup, listener: OutboxListener): Promise<OutboxClient> {
    const client = new OutboxClient(setup, listener)
    await client.#start()
    return client
  }

  /** Resolves with the answer. @throws ThreadpostError `QUEUE_UNAVAILABLE`, `CLOSED` */
  request<K extends RequestKind>(kind: K, ask: Requests[K]['ask']): Promise<Answer<K>> {
    return new Promise((resolve, reject) => {
      this.send(kind, ask, (result) => {
        if (result.failure === undefined) resolve(result.answer)
        else reject(result.failure)
      })
    })
  }

  /** Like `request()`, but calls `done` as soon as the answer arrives, before the rest of its report is handled. */
  send<K extends RequestKind>(kind: K, ask: Requests[K]['ask'], done: Done<K> = () => undefined): void {
    if (this.#worker === undefined) {
      queueMicrotask(() => {
        done({ failure: this.#closing ? closed() : unavailable(this.#problem) })
      })
      return
    }
    if (this.#pending.size === 0) this.#worker.ref()
    const n = this.#pending.add(done)
    this.#outgoing.add({ n, kind, ...ask } as Request)
  }

  /** The current turn of the event loop. Requests of one turn are sent together; until then, a caller may still extend one of its requests. */
  get turn(): number {
    return this.#turn
  }

  get closed(): boolean {
    return this.#closing
  }

  async close(): Promise<void> {
    this.#closing = true
    clearTimeout(this.#restart)
    // A thread that is still starting holds nothing that must be closed.
    await this.#starting?.terminate()
    const worker = this.#worker
    if (worker === undefined) return
    const exited = new Promise((resolve) => worker.once('exit', resolve))
    this.send('close', {})
    const timer = setTimeout(() => void worker.terminate(), CLOSE_TIMEOUT)
    await exited
    clearTimeout(timer)
  }

  #flush(): void {
    this.#turn++
    this.#worker?.postMessage(this.#outgoing.take())
  }

  #start(): Promise<void> {
    const worker = new Worker(this.#file, { name: 'outbox', workerData: this.#setup, ...threadFlags() })
    this.#starting = worker
    return new Promise((resolve, reject) => {
      let ready = false
      let problem = 'it exited without an error message'
      worker.on('message', (message: FromOutbox) => {
        if (message.kind === 'ready') {
          if (this.#closing) return
          ready = true
          this.#starting = undefined
          this.#worker = worker
          worker.unref()
          resolve()
        } else if (message.kind === 'refused') {
          problem = message.problem
        } else {
          this.#receive(message)
        }
      })
      worker.on('error', (error) => {
        problem = error.message
      })
      worker.once('exit', () => {
        this.#starting = undefined
        if (ready) this.#handleExit(problem)
        else reject(new ThreadpostError('START_FAILED', `The queue can't start: ${problem}`))
      })
    })
  }

  #receive(message: Exclude<FromOutbox, { kind: 'ready' | 'refused' }>): void {
    if (message.kind !== 'report') {
      this.#listener[message.kind](message.problem ?? undefined)
      return
    }
    for (const [n, answer] of message.answers) {
      const done = this.#pending.take(n)
      done?.({ answer: answer as never })
    }
    for (const [n, problem] of message.failures) {
      const done = this.#pending.take(n)
      done?.({ failure: unavailable(problem) })
    }
    this.#listener.report(message)
    if (this.#pending.size === 0) this.#worker?.unref()
  }

  #handleExit(problem: string): void {
    this.#worker = undefined
    this.#outgoing.take()
    this.#problem = problem
    // The thread may have stored what it did not answer any more.
    for (const done of this.#pending.takeAll())
      done({
        failure: new ThreadpostError('QUEUE_UNAVAILABLE', `The outbox thread exited (${problem})`, {
          accepted: 'unknown',
        }),
      })
    if (this.#closing) return
    this.#listener.refusing(undefined)
    this.#listener.unavailable(`the outbox thread exited (${problem})`)
    this.#restartLater()
  }

  #restartLater(): void {
    if (this.#closing) return
    this.#restart = setTimeout(() => {
      this.#start().then(
        () => {
          this.#listener.unavailable(undefined)
          this.#listener.restarted()
        },
        (error: unknown) => {
          if (this.#closing) return
          this.#problem = (error as Error).message
          this.#listener.unavailable(this.#problem)
          this.#restartLater()
        },
      )
    }, RESTART_DELAY)
  }
}

function closed(): ThreadpostError {
  return new ThreadpostError('CLOSED', 'The mailer is closed, and its file with it')
}

function unavailable(problem: string): ThreadpostError {
  return new ThreadpostError('QUEUE_UNAVAILABLE', unavailableMessage(problem))
}

/** Returns the message for a caller whose request wasn't stored. */
export function unavailableMessage(problem: string): string {
  return `The queue can't store anything at the moment: ${problem}. Nothing was accepted; try again later`
}
