import { Readable } from 'node:stream'
import type { SmtpTransport } from '../../src/wire.js'
import type { RecipientOutcome, SmtpReply } from '../../src/outcome.js'
import { Connections, type SmtpConnection } from './connections.js'
import { deliveredFrom, parseReply, type SmtpError } from './smtpError.js'
import type { Delivered, Parcel, Progress, Transport } from './transport.js'

/** SMTP through nodemailer's connection: one transaction at a time on each, connections kept for the next. */
export class SmtpSender implements Transport {
  readonly #connections: Connections

  constructor(config: SmtpTransport, maxConnections: number) {
    this.#connections = new Connections(config, maxConnections)
  }

  async send(parcel: Parcel, progress: Progress, deadline: number): Promise<Delivered> {
    const delivered = await this.#try(parcel, progress, deadline)
    // A kept connection may have died unnoticed: nothing of this message was heard, so a fresh one costs no attempt.
    return delivered === 'stale' ? this.#finish(await this.#try(parcel, progress, deadline, true)) : delivered
  }

  quit(): Promise<void> {
    return this.#connections.quit()
  }

  #finish(delivered: Delivered | 'stale'): Delivered {
    if (delivered === 'stale') throw new Error('a fresh connection cannot be stale')
    return delivered
  }

  async #try(
    parcel: Parcel,
    progress: Progress,
    deadline: number,
    fresh = false,
  ): Promise<Delivered | 'stale'> {
    progress.enter('connecting')
    const connectStart = performance.now()
    let lease: { connection: SmtpConnection; reused: boolean }
    try {
      lease = await this.#connections.acquire(fresh, deadline)
    } catch (error) {
      return deliveredFrom(error as SmtpError, 'connecting', parcel.envelope.to)
    } finally {
      progress.took('connect', performance.now() - connectStart)
    }
    return this.#transact(lease, parcel, progress, deadline)
  }

  #transact(
    { connection, reused }: { connection: SmtpConnection; reused: boolean },
    { envelope, bytes }: Parcel,
    progress: Progress,
    deadline: number,
  ): Promise<Delivered | 'stale'> {
    const start = performance.now()
    let phase: 'envelope' | 'body' = 'envelope'
    progress.enter(phase)
    // nodemailer reads the stream only after the server's 354, so that this is noted before the first body byte.
    const body = new Readable({
      read() {
        phase = 'body'
        progress.enter(phase)
        this.push(bytes)
        this.push(null)
      },
    })
    return new Promise((resolve) => {
      const timer = setTimeout(
        () => {
          timedOut = true
          connection.close()
          finish(Object.assign(new Error('the attempt took too long'), { code: 'ETIMEDOUT' }))
        },
        Math.max(0, deadline - start),
      )
      let timedOut = false
      const finish = (
        error: SmtpError | null,
        info?: { response: string; rejectedErrors?: SmtpError[] | undefined },
      ) => {
        clearTimeout(timer)
        progress.took('transaction', performance.now() - start)
        const unheard = error !== null && error.responseCode === undefined && !timedOut
        if (reused && unheard && phase === 'envelope') {
          resolve('stale')
          return
        }
        const delivered =
          error === null
            ? accepted(info?.response ?? '', info?.rejectedErrors ?? [], envelope.to)
            : deliveredFrom(error, phase, envelope.to)
        if (delivered.reply !== undefined && phase === 'body')
          progress.replied(
            delivered.reply.code,
            delivered.recipients.map(({ result }) => result),
          )
        this.#connections.release(connection, error)
        resolve(delivered)
      }
      connection.send(
        { from: envelope.from, to: [...envelope.to], size: bytes.length },
        body,
        (error, info) => finish(error, info),
      )
    })
  }
}

function accepted(response: string, refused: SmtpError[], to: readonly string[]): Delivered {
  const reply = parseReply(response)
  const refusals = new Map(refused.map((error) => [error.recipient, error]))
  const recipients = to.map((address): RecipientOutcome => {
    const refusal = refusals.get(address)
    if (refusal === undefined) return { address, result: 'accepted', ...withReply(reply) }
    const result = (refusal.responseCode ?? 0) >= 500 ? 'rejected' : 'deferred'
    return { address, result, ...withReply(parseReply(refusal.response ?? '')) }
  })
  const taken = recipients.filter(({ result }) => result === 'accepted').length
  const message =
    taken === to.length
      ? 'The server accepted the message.'
      : `The server accepted it for ${taken} of ${to.length} recipients.`
  return { verdict: { result: 'sent', code: 'OK' }, message, recipients, ...withReply(reply) }
}

function withReply(reply: SmtpReply | undefined): { reply?: SmtpReply } {
  return reply === undefined ? {} : { reply }
}
