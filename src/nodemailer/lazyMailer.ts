import type { Mailer } from '../mailer.js'

/** Milliseconds after the last message until the threads end. */
const LINGER = 1_000

/**
 * A mailer, started when somebody needs it. As with a transport of nodemailer's that keeps no connections, nothing of it
 * keeps the process alive once all is sent: its threads end, and come back with the next message.
 */
export class LazyMailer {
  readonly #start: () => Promise<Mailer>
  readonly #keeps: boolean
  readonly #owns: boolean
  #mailer: Promise<Mailer> | undefined
  #closing: Promise<unknown> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined
  /** Messages not settled yet. */
  users = 0

  /**
   * @param keeps whether the mailer stays when there is nothing to do
   * @param owns whether it is ended with the lease
   */
  constructor(start: () => Promise<Mailer>, keeps: boolean, owns: boolean) {
    this.#start = start
    this.#keeps = keeps
    this.#owns = owns
  }

  async take(): Promise<Mailer> {
    this.users++
    clearTimeout(this.#timer)
    try {
      this.#mailer ??= this.#start()
      return await this.#mailer
    } catch (error) {
      this.#mailer = undefined
      this.giveBack()
      throw error
    }
  }

  giveBack(): void {
    this.users--
    if (this.#keeps || this.users > 0 || this.#mailer === undefined) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#end(), LINGER)
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer)
    this.#end()
    await this.#closing
  }

  #end(): void {
    const mailer = this.#mailer
    this.#mailer = undefined
    if (mailer === undefined || !this.#owns) return
    const closed = mailer.then(
      (started) => started.close(),
      () => undefined,
    )
    this.#closing = Promise.all([this.#closing, closed])
  }
}
