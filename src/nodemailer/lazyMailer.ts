import type { Mailer } from '../mailer.js'

/** Time from the last settled message to the end of the threads, in milliseconds. */
const LINGER = 1_000

export interface LazyMailerOptions {
  /** Whether the mailer keeps running while it has nothing to do. */
  keepAlive: boolean
  /** Whether `close()` closes the mailer. */
  owned: boolean
}

/**
 * A mailer that starts with its first message. Without `keepAlive`, it doesn't keep the process alive once all messages
 * are settled, like a nodemailer transport without a pool: its threads exit, and start again with the next message.
 */
export class LazyMailer {
  readonly #start: () => Promise<Mailer>
  readonly #options: LazyMailerOptions
  #mailer: Promise<Mailer> | undefined
  #closing: Promise<unknown> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined
  /** Number of calls of `acquire()` without their `release()`: messages not yet settled, and verifications. */
  pending = 0

  constructor(start: () => Promise<Mailer>, options: LazyMailerOptions) {
    this.#start = start
    this.#options = options
  }

  /** Resolves with the mailer, and starts it if necessary. Call `release()` once it is no longer needed. */
  async acquire(): Promise<Mailer> {
    this.pending++
    clearTimeout(this.#timer)
    try {
      this.#mailer ??= this.#start()
      return await this.#mailer
    } catch (error) {
      this.#mailer = undefined
      this.release()
      throw error
    }
  }

  release(): void {
    this.pending--
    if (this.#options.keepAlive || this.pending > 0 || this.#mailer === undefined) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#stop(), LINGER)
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer)
    this.#stop()
    await this.#closing
  }

  #stop(): void {
    const mailer = this.#mailer
    this.#mailer = undefined
    if (mailer === undefined || !this.#options.owned) return
    const closed = mailer.then(
      (started) => started.close(),
      () => undefined,
    )
    this.#closing = Promise.all([this.#closing, closed])
  }
}
