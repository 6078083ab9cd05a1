import type { Socket } from 'node:net'
import type { SmtpTransport, TransportReport } from '../../../src/protocol/transportConfig.js'
import { connectionFailed, type ConnectionFailure, unanswered } from '../sendResults.js'
import type { OutgoingMail, Progress, SendResult, Transport } from '../transport.js'
import { connect, type OpenConnection, verifySmtp } from './connect.js'
import { asMailData, toMailData } from './mailData.js'
import { type SessionOwner, SmtpSession } from './smtpSession.js'
import { Transaction } from './transaction.js'

/** How long a message waits for the connections in use before an idle one is used, in ms. */
const SHORT_PATIENCE = 2
/** How long it waits for the connections there are before another one is opened, in ms. */
const PATIENCE = 25
/** How long no further connection is tried after one was refused beside others that work, in ms. */
const REFUSED_PAUSE = 5_000
/** How long sessions may take to say goodbye, in ms. */
const FAREWELL = 1_500
/** A message that came back so often without having been heard takes what happens next as its outcome. */
const MAX_RETURNS = 3

/**
 * Sends messages over as few connections as keep up with them. All messages wait in one line, and a session takes
 * the next one at the moment it can write its envelope: behind a slow message no more than one is ever stuck. Another
 * connection is used, or opened, only when a message has waited in vain for a while, so that a near server is served
 * over few at one write a message, and a distant one over as many as there are messages to fill them.
 */
export class SmtpSender implements Transport, SessionOwner {
  readonly #config: SmtpTransport
  readonly #maxConnections: number
  readonly #changed: (change: 1 | -1) => void
  readonly #waiting: Transaction[] = []
  readonly #sessions = new Set<SmtpSession>()
  /** Sessions that say goodbye. */
  readonly #leaving = new Set<SmtpSession>()
  /** Sessions with nothing to do, the last used one at the end. */
  readonly #idle: SmtpSession[] = []
  readonly #abort = new AbortController()
  #connecting = 0
  /** Runs while somebody waits. */
  #timer: NodeJS.Timeout | undefined
  /** When a session last became ready, or one last failed to. */
  #settledAt = 0
  #refusedUntil = 0
  readonly #atEnd: (() => void)[] = []
  /** Who sends in its place, once it was retired. */
  #heir: SmtpSender | undefined

  /** @param changed is told of each connection that is open, and that is no more */
  constructor(
    config: SmtpTransport,
    maxConnections: number,
    changed: (change: 1 | -1) => void = () => undefined,
  ) {
    this.#config = config
    this.#maxConnections = maxConnections
    this.#changed = changed
  }

  send(parcel: OutgoingMail, progress: Progress, deadline: number): Promise<SendResult> {
    if (this.#heir !== undefined) return this.#heir.send(parcel, progress, deadline)
    const { envelope, bytes, transparent, lease } = parcel
    progress.enterPhase('connecting')
    const data = transparent ? asMailData(bytes, lease) : toMailData(bytes)
    return new Promise((resolve) => {
      this.#waiting.push(new Transaction(envelope, data, progress, deadline, resolve))
      this.#serve()
    })
  }

  verify(): Promise<TransportReport> {
    return verifySmtp(this.#config)
  }

  async quit(): Promise<void> {
    this.#abort.abort()
    for (const session of this.#sessions) session.quit()
    if (this.#sessions.size + this.#leaving.size === 0) return
    let timer: NodeJS.Timeout | undefined
    const farewell = new Promise<void>((resolve) => (timer = setTimeout(resolve, FAREWELL)))
    await Promise.race([this.#end(), farewell])
    clearTimeout(timer)
    for (const session of [...this.#sessions, ...this.#leaving]) session.abort()
    for (const transaction of this.#waiting.splice(0)) transaction.lose('closed', false)
  }

  async retire(heir: Transport): Promise<void> {
    if (!(heir instanceof SmtpSender)) return this.quit()
    this.#heir = heir
    this.#abort.abort()
    for (const session of this.#sessions) session.quit()
    heir.#adopt(this.#waiting.splice(0))
    await this.#end()
  }

  /** Once there is no session any more. */
  async #end(): Promise<void> {
    if (this.#sessions.size + this.#leaving.size > 0)
      await new Promise<void>((resolve) => this.#atEnd.push(resolve))
  }

  #adopt(transactions: readonly Transaction[]): void {
    this.#waiting.unshift(...transactions)
    this.#serve()
  }

  take(riding: boolean): Transaction | undefined {
    const next = this.#waiting[0]
    // What came back once is not put behind another message again.
    if (next === undefined || (riding && next.returns > 0)) return undefined
    next.progress.addTiming('connect', performance.now() - next.since)
    return this.#waiting.shift()
  }

  giveBack(transaction: Transaction): void {
    transaction.giveBack()
    if (transaction.returns > MAX_RETURNS) transaction.lose('closed', false)
    else if (this.#heir !== undefined) this.#heir.#adopt([transaction])
    else this.#waiting.unshift(transaction)
  }

  idle(session: SmtpSession): void {
    this.#idle.push(session)
  }

  leaving(session: SmtpSession): void {
    this.#forget(session)
    this.#leaving.add(session)
  }

  ended(session: SmtpSession): void {
    this.#forget(session)
    this.#leaving.delete(session)
    if (this.#sessions.size + this.#leaving.size === 0) for (const resolve of this.#atEnd.splice(0)) resolve()
    // Not before what ended it is done with: its own callers may still be at work.
    if (this.#waiting.length > 0) queueMicrotask(() => this.#serve())
  }

  /** Gives the waiting to the sessions that can take them, and sees to it that somebody looks after the rest. */
  #serve(): void {
    while (this.#waiting.length > 0) {
      const session = this.#available()
      if (session === undefined) break
      const before = this.#waiting.length
      session.advance()
      if (this.#waiting.length === before) break
    }
    if (this.#waiting.length === 0) return
    if (this.#sessions.size + this.#connecting === 0) this.#open()
    this.#timer ??= setTimeout(() => this.#look(), this.#idle.length > 0 ? SHORT_PATIENCE : PATIENCE)
  }

  /** What is in use takes the next message behind the one it has, at no write of its own. */
  #available(): SmtpSession | undefined {
    let inUse = false
    for (const session of this.#sessions) {
      if (!session.busy) continue
      if (session.free) return session
      inUse = true
    }
    const [oldest] = this.#waiting
    const patient = oldest !== undefined && oldest.since + SHORT_PATIENCE > performance.now()
    return inUse && patient ? undefined : this.#idle.pop()
  }

  #look(): void {
    this.#timer = undefined
    const now = performance.now()
    this.#dropOverdue(now)
    const [oldest] = this.#waiting
    if (oldest === undefined) return
    const patient = Math.max(oldest.since, this.#settledAt) + PATIENCE > now
    const another = this.#idle.length === 0 && this.#connecting === 0
    if (another && !patient && now >= this.#refusedUntil) {
      const room = this.#maxConnections - this.#sessions.size - this.#leaving.size
      for (let more = Math.min(room, Math.ceil(this.#waiting.length / 2)); more > 0; more--) this.#open()
    }
    this.#serve()
  }

  #dropOverdue(now: number): void {
    for (let index = this.#waiting.length - 1; index >= 0; index--) {
      if (this.#waiting[index]!.deadline > now) continue
      const [overdue] = this.#waiting.splice(index, 1)
      overdue?.fail(
        this.#sessions.size === 0 ? connectionFailed(NOT_IN_TIME) : unanswered('timeout', false, []),
      )
    }
  }

  #open(): void {
    this.#connecting++
    void connect(this.#config, this.#abort.signal).then((result) => {
      this.#connecting--
      this.#settledAt = performance.now()
      if ('socket' in result) this.#welcome(result)
      else this.#refuse(result)
      this.#serve()
    })
  }

  #welcome(established: OpenConnection): void {
    const session = new SmtpSession(established, this.#config.timeouts, this)
    this.#sessions.add(session)
    this.#tally(established.socket)
    if (this.#abort.signal.aborted && this.#waiting.length === 0) session.quit()
    else session.advance()
  }

  #tally(socket: Socket): void {
    if (socket.closed) return
    this.#changed(1)
    socket.once('close', () => this.#changed(-1))
  }

  /** Where others work the waiting wait for those; else none of them can be sent. */
  #refuse(failure: ConnectionFailure): void {
    this.#refusedUntil = performance.now() + REFUSED_PAUSE
    if (this.#sessions.size + this.#connecting > 0) return
    for (const transaction of this.#waiting.splice(0)) transaction.fail(connectionFailed(failure))
  }

  #forget(session: SmtpSession): void {
    this.#sessions.delete(session)
    const index = this.#idle.indexOf(session)
    if (index >= 0) this.#idle.splice(index, 1)
  }
}

const NOT_IN_TIME: ConnectionFailure = {
  code: 'CONNECTION_FAILED',
  message: 'The server could not be reached: no connection was ready before the attempt was over',
}
