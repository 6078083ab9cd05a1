import { Worker } from 'node:worker_threads'
import { ThreadpostError } from '../../errors.js'
import { packagedFile, threadFlags } from '../../protocol/threadFile.js'
import { MAX_READ, type ReportMail } from './mailReport.js'

/** Milliseconds for reading one mail; a mail that takes longer is given up together with the thread. */
const TIMEOUT = 10_000
/** Milliseconds after which a thread without work ends. */
const IDLE = 10_000
/** Megabytes that the thread may use. */
const MEMORY = 128

interface Pending {
  raw: Uint8Array
  resolve: (mail: ReportMail | undefined) => void
  reject: (error: Error) => void
}

/**
 * Reads mails with reports in a thread, which is started for the first of them, and ends when there are none. The thread gets one
 * mail at a time, so that a mail that ends it takes no other with it.
 */
export class ReportReader {
  readonly #file = packagedFile('src/feedback/mail/reportThread.js', 'the thread that reads reports')
  readonly #timeout: number
  readonly #waiting: Pending[] = []
  #current: Pending | undefined
  #thread: Worker | undefined
  #timer: NodeJS.Timeout | undefined

  /** @param timeout milliseconds for reading one mail */
  constructor(timeout: number = TIMEOUT) {
    this.#timeout = timeout
  }

  /**
   * @returns undefined if the mail can't be read
   * @throws ThreadpostError `QUEUE_UNAVAILABLE` if the thread ends, or the mail takes too long
   */
  read(raw: Uint8Array): Promise<ReportMail | undefined> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ raw: raw.subarray(0, MAX_READ), resolve, reject })
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
    this.#timer = setTimeout(() => this.#end(), this.#timeout)
    thread.postMessage(raw, [raw.buffer])
  }

  #start(): Worker {
    const thread = new Worker(this.#file, {
      ...threadFlags(),
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: MEMORY },
    })
    thread.unref()
    thread.on('message', (mail: ReportMail | undefined) => {
      if (this.#thread !== thread) return
      this.#current?.resolve(mail)
      this.#next()
    })
    // The end of the thread, which follows, rejects what it was reading.
    thread.on('error', () => undefined)
    thread.on('exit', () => {
      if (this.#thread === thread) this.#end()
    })
    return thread
  }

  /** Ends the thread. What it was reading may be read by the next one, if it is reported again. */
  #end(): void {
    const [thread, current] = [this.#thread, this.#current]
    this.#thread = undefined
    void thread?.terminate()
    if (current === undefined) return clearTimeout(this.#timer)
    current.reject(
      new ThreadpostError(
        'QUEUE_UNAVAILABLE',
        "The mail with reports can't be read at the moment; report it again",
      ),
    )
    this.#next()
  }
}
