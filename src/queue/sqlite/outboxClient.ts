import { Worker } from 'node:worker_threads'
import { ThreadpostError } from '../../errors.js'
import { threadFile } from '../../protocol/threadFile.js'
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

/** Milliseconds before a thread that ended is started again, and before a refused file is looked at again. */
const RESTART = 250
/** Milliseconds the thread is given to close the file. */
const CLOSING = 5_000

export interface OutboxListener {
  /** Called after the answers of the same report. */
  report(report: Report): void
  /** What is wrong with the outbox; undefined once it is well again. */
  unavailable(problem: string | undefined): void
  /** Why no new message is taken in, while those accepted are still delivered; undefined once they are again. */
  refusing(problem: string | undefined): void
  /** A new thread took the place of one that ended: it knows nothing of what was handed out. */
  restarted(): void
}

type Result<K extends RequestKind> = { failure: ThreadpostError } | { failure?: never; answer: Answer<K> }
type Done<K extends RequestKind> = (result: Result<K>) => void

/**
 * The outbox thread as the main thread sees it: numbered requests, sent together once a turn of the event loop, and
 * their answers. A thread that ends is replaced; what it hadn't answered fails with `QUEUE_UNAVAILABLE`.
 */
export class OutboxClient {
  readonly #file = threadFile('outbox.js')
  readonly #setup: OutboxSetup
  readonly #listener: OutboxListener
  readonly #open = new SlotMap<Done<never>>()
  #outgoing: Request[] = []
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

  /** @throws ThreadpostError `START_FAILED` when the file can't be the queue. */
  static async start(setup: OutboxSetup, listener: OutboxListener): Promise<OutboxClient> {
    const link = new OutboxClient(setup, listener)
    await link.#start()
    return link
  }

  request<K extends RequestKind>(kind: K, ask: Requests[K]['ask']): Promise<Answer<K>> {
    return new Promise((resolve, reject) => {
      this.send(kind, ask, (result) => {
        if (result.failure === undefined) resolve(result.answer)
        else reject(result.failure)
      })
    })
  }

  /** As `request()`, but `done` is called at once when the answer is there, before the rest of its report. */
  send<K extends RequestKind>(kind: K, ask: Requests[K]['ask'], done: Done<K> = () => undefined): void {
    if (this.#worker === undefined) {
      queueMicrotask(() => {
        done({ failure: this.#closing ? closed() : unavailable(this.#problem) })
      })
      return
    }
    if (this.#open.size === 0) this.#worker.ref()
    const n = this.#open.add(done)
    this.#outgoing.push({ n, kind, ...ask } as Request)
    if (this.#outgoing.length === 1) setImmediate(() => this.#flush())
  }

  /** Requests of one turn are sent together; until then one of them may still be added to. */
  get turn(): number {
    return this.#turn
  }

  get closed(): boolean {
    return this.#closing
  }

  async close(): Promise<void> {
    this.#closing = true
    clearTimeout(this.#restart)
    // It holds nothing yet that would have to be closed.
    await this.#starting?.terminate()
    const worker = this.#worker
    if (worker === undefined) return
    const gone = new Promise((resolve) => worker.once('exit', resolve))
    this.send('close', {})
    const timer = setTimeout(() => void worker.terminate(), CLOSING)
    await gone
    clearTimeout(timer)
  }

  #flush(): void {
    this.#turn++
    const requests = this.#outgoing
    this.#outgoing = []
    this.#worker?.postMessage(requests)
  }

  #start(): Promise<void> {
    // A thread inherits the flags of its process, and with this one it would refuse to start from a file.
    const flags = process.execArgv.some((flag) => flag.startsWith('--input-type')) ? { execArgv: [] } : {}
    const worker = new Worker(this.#file, { name: 'outbox', workerData: this.#setup, ...flags })
    this.#starting = worker
    return new Promise((resolve, reject) => {
      let ready = false
      let problem = 'it ended without a word'
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
        if (ready) this.#ended(problem)
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
      const done = this.#open.take(n)
      done?.({ answer: answer as never })
    }
    for (const [n, problem] of message.failures) {
      const done = this.#open.take(n)
      done?.({ failure: unavailable(problem) })
    }
    this.#listener.report(message)
    if (this.#open.size === 0) this.#worker?.unref()
  }

  #ended(problem: string): void {
    this.#worker = undefined
    this.#outgoing = []
    this.#problem = problem
    for (const done of this.#open.takeAll())
      done({ failure: unavailable(`the outbox thread ended (${problem})`) })
    if (this.#closing) return
    this.#listener.refusing(undefined)
    this.#listener.unavailable(`the outbox thread ended (${problem})`)
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
    }, RESTART)
  }
}

function closed(): ThreadpostError {
  return new ThreadpostError('CLOSED', 'The mailer is closed, and so is its file')
}

function unavailable(problem: string): ThreadpostError {
  return new ThreadpostError('QUEUE_UNAVAILABLE', unavailableMessage(problem))
}

/** How a problem is told to who wants something stored. */
export function unavailableMessage(problem: string): string {
  return `The queue can't store anything just now: ${problem}. Nothing was accepted; try again later`
}
