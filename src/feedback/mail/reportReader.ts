import { Worker } from 'node:worker_threads'
import { packagedFile, threadFlags } from '../../protocol/threadFile.js'
import type { ReportMail } from './mailReport.js'

/** Milliseconds for reading one mail; a mail that takes longer is given up together with the thread. */
const TIMEOUT = 10_000
/** Milliseconds after which a thread without work ends. */
const IDLE = 10_000
/** Megabytes that the thread may use. */
const MEMORY = 128

interface Pending {
  resolve: (mail: ReportMail) => void
  reject: (error: Error) => void
  timer: NodeJS.Timeout
}

/** Reads mails with reports in a thread, which is started for the first of them, and ends when there are none. */
export class ReportReader {
  readonly #file = packagedFile('src/feedback/mail/reportThread.js', 'the thread that reads reports')
  readonly #pending = new Map<number, Pending>()
  #thread: Worker | undefined
  #idle: NodeJS.Timeout | undefined
  #count = 0

  /** Rejects if the mail takes too long. */
  read(raw: Uint8Array): Promise<ReportMail> {
    clearTimeout(this.#idle)
    const thread = (this.#thread ??= this.#start())
    const n = ++this.#count
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => void thread.terminate(), TIMEOUT)
      this.#pending.set(n, { resolve, reject, timer })
      thread.postMessage({ n, raw })
    })
  }

  #start(): Worker {
    const thread = new Worker(this.#file, {
      ...threadFlags(),
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: MEMORY },
    })
    thread.unref()
    thread.on('message', ({ n, mail }: { n: number; mail: ReportMail }) => {
      this.#settle(n, (pending) => pending.resolve(mail))
      if (this.#pending.size > 0) return
      this.#idle = setTimeout(() => void thread.terminate(), IDLE).unref()
    })
    // The end of the thread, which follows, rejects what it was reading.
    thread.on('error', () => undefined)
    thread.on('exit', () => {
      if (this.#thread === thread) this.#thread = undefined
      for (const n of [...this.#pending.keys()])
        this.#settle(n, (pending) => pending.reject(new Error('the thread that read the report has ended')))
    })
    return thread
  }

  #settle(n: number, settle: (pending: Pending) => void): void {
    const pending = this.#pending.get(n)
    if (pending === undefined) return
    this.#pending.delete(n)
    clearTimeout(pending.timer)
    settle(pending)
  }
}
