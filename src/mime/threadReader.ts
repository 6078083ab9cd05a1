import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'

/** Milliseconds after which a thread without work ends. */
const IDLE = 10_000

export interface ThreadReaderOptions {
  /** Path of the file with the function. */
  file: string
  /** Name of the function that the file exports. It takes bytes, and returns what can be passed between threads. */
  name: string
  /** Milliseconds for reading one mail; a mail that takes longer is given up together with the thread. */
  timeout: number
  /** Megabytes that the thread may use. */
  memory: number
  /** Returns the error with which a mail is given up. */
  failure: () => Error
}

interface Pending<Result> {
  raw: Uint8Array
  resolve: (result: Result | undefined) => void
  reject: (error: Error) => void
}

/** The `workerData` of the thread. */
export interface ReaderThreadSetup {
  file: string
  name: string
}

/**
 * Reads mails of strangers in a thread: the work is bounded, but not small enough for the main thread. The thread is started for the
 * first of them, and ends when there are none. It gets one mail at a time, so that a mail that ends it takes no other with it.
 */
export class ThreadReader<Result> {
  readonly #options: ThreadReaderOptions
  readonly #waiting: Pending<Result>[] = []
  #current: Pending<Result> | undefined
  #thread: Worker | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: ThreadReaderOptions) {
    this.#options = options
  }

  /**
   * @returns undefined if the function throws
   * @throws the error of `failure` if the thread ends, or the mail takes too long
   */
  read(raw: Uint8Array): Promise<Result | undefined> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ raw, resolve, reject })
      if (this.#current === undefined) this.#next()
    })
  }

  #next(): void {
    clearTimeout(this.#timer)
    this.#current = this.#waiting.shift()
    if (this.#current === undefined) {
      this.#timer = setTimeout(() => this.#end(), IDLE).unref()
      return
    }
    let thread: Worker
    try {
      thread = this.#thread ??= this.#start()
    } catch {
      return this.#end()
    }
    // A copy, because the bytes may be a part of a larger buffer, which would be copied as a whole.
    const raw = new Uint8Array(this.#current.raw)
    this.#timer = setTimeout(() => this.#end(), this.#options.timeout)
    thread.postMessage(raw, [raw.buffer])
  }

  #start(): Worker {
    const { file, name, memory } = this.#options
    const setup: ReaderThreadSetup = { file, name }
    const thread = new Worker(fileURLToPath(new URL('./readerThread.js', import.meta.url)), {
      execArgv: [],
      env: {},
      workerData: setup,
      resourceLimits: { maxOldGenerationSizeMb: memory },
    })
    thread.unref()
    thread.on('message', (result: Result | undefined) => {
      if (this.#thread !== thread) return
      this.#current?.resolve(result)
      this.#next()
    })
    // The end of the thread, which follows, rejects what it was reading.
    thread.on('error', () => undefined)
    thread.on('exit', () => {
      if (this.#thread === thread) this.#end()
    })
    return thread
  }

  /** Ends the thread and gives up what it was reading. */
  #end(): void {
    const [thread, current] = [this.#thread, this.#current]
    this.#thread = undefined
    void thread?.terminate()
    if (current === undefined) return clearTimeout(this.#timer)
    current.reject(this.#options.failure())
    this.#next()
  }
}
