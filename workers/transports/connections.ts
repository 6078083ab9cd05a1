import SMTPConnection from 'nodemailer/lib/smtp-connection'
import type { SmtpTransport } from '../../src/wire.js'
import type { SmtpError } from './smtpError.js'

export type SmtpConnection = SMTPConnection

interface Idle {
  connection: SmtpConnection
  timer: NodeJS.Timeout
}

/** The connections of one transport in one thread: ready ones are lent, and kept a while between two loans. */
export class Connections {
  readonly #config: SmtpTransport
  readonly #max: number
  readonly #idle: Idle[] = []
  readonly #waiting: (() => void)[] = []
  #open = 0

  constructor(config: SmtpTransport, max: number) {
    this.#config = config
    this.#max = max
  }

  /** A connection that greeted and, where there are credentials, authenticated. */
  async acquire(fresh: boolean, deadline: number): Promise<{ connection: SmtpConnection; reused: boolean }> {
    const kept = fresh ? undefined : this.#idle.pop()
    if (kept !== undefined) {
      clearTimeout(kept.timer)
      return { connection: kept.connection, reused: true }
    }
    while (this.#open >= this.#max) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#open++
    try {
      return { connection: await this.#connect(deadline), reused: false }
    } catch (error) {
      this.#closed()
      throw error
    }
  }

  /**
   * Takes a connection back. After an error that was no reply, or a 421, it is of no use; after another, the
   * transaction that was begun is given up first (RFC 5321 section 4.1.1.5).
   */
  release(connection: SmtpConnection, error: SmtpError | null): void {
    if (connection.destroyed || (error !== null && (error.responseCode ?? 421) === 421)) connection.close()
    else if (error === null) this.#keep(connection)
    else connection.reset((failure) => (failure === null ? this.#keep(connection) : connection.close()))
  }

  #keep(connection: SmtpConnection): void {
    const entry: Idle = {
      connection,
      timer: setTimeout(() => {
        this.#forget(connection)
        connection.quit()
      }, this.#config.timeouts.idle),
    }
    this.#idle.push(entry)
    this.#waiting.shift()?.()
  }

  async quit(): Promise<void> {
    await Promise.all(
      this.#idle.splice(0).map(({ connection, timer }) => {
        clearTimeout(timer)
        return new Promise<void>((resolve) => {
          connection.once('end', resolve)
          connection.quit()
        })
      }),
    )
  }

  #forget(connection: SmtpConnection): void {
    const index = this.#idle.findIndex((entry) => entry.connection === connection)
    if (index >= 0) clearTimeout(this.#idle.splice(index, 1)[0]?.timer)
  }

  #closed(): void {
    this.#open--
    this.#waiting.shift()?.()
  }

  #connect(deadline: number): Promise<SmtpConnection> {
    const { host, port, secure, requireTLS, tls, ehloName, timeouts, auth } = this.#config
    const connection = new SMTPConnection({
      host,
      port,
      secure,
      requireTLS,
      tls,
      name: ehloName,
      connectionTimeout: timeouts.connect,
      greetingTimeout: timeouts.greeting,
      // Deadlines are absolute and kept by the sender; this one is only a net below them.
      socketTimeout: 600_000,
      socketCloseTimeout: 1_000,
      maxResponseSize: 64 * 1024,
    })
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => {
          connection.close()
          reject(Object.assign(new Error('connecting took too long'), { code: 'ETIMEDOUT' }))
        },
        Math.max(0, deadline - performance.now()),
      )
      const fail = (error: Error): void => {
        clearTimeout(timer)
        connection.close()
        reject(error)
      }
      const ready = (): void => {
        clearTimeout(timer)
        connection.off('error', fail)
        connection.on('error', () => this.#forget(connection))
        connection.once('end', () => {
          this.#forget(connection)
          this.#closed()
        })
        resolve(connection)
      }
      connection.once('error', fail)
      connection.connect((error) => {
        if (error !== undefined) fail(error)
        else if (auth === undefined) ready()
        else
          connection.login({ user: auth.user, pass: auth.pass }, (refusal) =>
            refusal === null ? ready() : fail(refusal),
          )
      })
    })
  }
}
