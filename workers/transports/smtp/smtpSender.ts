import type { Socket } from 'node:net'
import type { ConnectionCounts } from '../../../src/protocol/tasks.js'
import type { SmtpTransport, TransportReport } from '../../../src/protocol/transportConfig.js'
import { sharedAbort } from '../../../src/structures/sharedAbort.js'
import { connectionFailed, type ConnectionFailure, waitedTooLong } from '../sendResults.js'
import type { OutgoingMail, Progress, SendResult, Transport } from '../transport.js'
import { ChunkingSession } from './chunkingSession.js'
import { connect, type OpenConnection, verifySmtp } from './connect.js'
import { envelopeOf } from './dsnRequest.js'
import { ehloNameFor } from './ehloName.js'
import { FurtherProgress } from './furtherTransactions.js'
import { mailDataOf } from './mailData.js'
import { loadProxyClient } from './openSocket.js'
import type { Session, SessionOwner } from './sessionOwner.js'
import { withFurtherResult } from './smtpResults.js'
import { SmtpSession } from './smtpSession.js'
import { Transaction } from './transaction.js'

/** Milliseconds that a message waits for busy connections before an idle one is used. */
const IDLE_CONNECTION_DELAY = 2
/** Milliseconds that a message waits for the open connections before another one is opened. */
const NEW_CONNECTION_DELAY = 25
/** Milliseconds without further connections after the server refused one, while others work. */
const REFUSED_PAUSE = 5_000
/** Milliseconds that sessions may take to finish and quit. */
const QUIT_TIMEOUT = 1_500
/** A message that was requeued more often than this without any reply takes the next close as its result. */
const MAX_REQUEUES = 3

/**
 * Sends messages over as few connections as keep up with them. All messages wait in one queue, and a session takes the
 * next one at the moment it can write its envelope, so a slow message delays at most one other. The sender uses or opens
 * another connection only when a message has waited for a while: a nearby server gets few connections with one write per
 * message, a distant one as many as there are messages to fill them.
 */
export class SmtpSender implements Transport, SessionOwner {
  readonly #config: SmtpTransport
  readonly #maxConnections: number
  readonly #onConnections: (change: ConnectionCounts) => void
  readonly #waiting: Transaction[] = []
  readonly #sessions = new Set<Session>()
  /** Sessions that have sent QUIT, or whose server closes the connection. */
  readonly #quitting = new Set<Session>()
  /** Idle sessions, the most recently used one last. */
  readonly #idle: Session[] = []
  readonly #abort = sharedAbort()
  #connecting = 0
  /** Runs while messages wait. */
  #timer: NodeJS.Timeout | undefined
  /** When the last attempt to connect succeeded or failed. */
  #connectedAt = 0
  #refusedUntil = 0
  /** Callers that wait for the last session to end. */
  readonly #endCallbacks: (() => void)[] = []
  /** Sends in its place after `retire()`. */
  #successor: SmtpSender | undefined

  /** @param onConnections called with the changes of the numbers of connections */
  constructor(
    config: SmtpTransport,
    maxConnections: number,
    onConnections: (change: ConnectionCounts) => void = () => undefined,
  ) {
    this.#config = config
    this.#maxConnections = maxConnections
    this.#onConnections = onConnections
  }

  send(mail: OutgoingMail, progress: Progress, deadline: number): Promise<SendResult> {
    if (this.#successor !== undefined) return this.#successor.send(mail, progress, deadline)
    progress.enterPhase('connecting')
    const envelope = envelopeOf(mail, this.#config)
    const data = mailDataOf(mail.composed)
    const asciiData = mail.asciiVersion && mailDataOf(mail.asciiVersion)
    return new Promise((resolve) => {
      const settle = (result: SendResult): void =>
        first.remaining.length === 0 ? resolve(result) : this.#sendRemaining(first, result, resolve)
      const first = new Transaction(envelope, data, progress, deadline, settle, asciiData)
      this.#waiting.push(first)
      this.#serve()
    })
  }

  /** Sends the message to the recipients that exceeded the server's limit, ahead of the messages that wait. */
  #sendRemaining(
    { envelope, data, asciiData, progress, deadline, remaining }: Transaction,
    before: SendResult,
    resolve: (result: SendResult) => void,
  ): void {
    const further: Transaction = new Transaction(
      { ...envelope, to: remaining },
      data,
      new FurtherProgress(progress, before),
      deadline,
      (result) => {
        const merged = withFurtherResult(before, result)
        if (further.remaining.length === 0) resolve(merged)
        else this.#sendRemaining(further, merged, resolve)
      },
      asciiData,
    )
    if (this.#successor === undefined) this.#waiting.unshift(further)
    else this.#successor.#adopt([further])
  }

  ready(): Promise<void> {
    return loadProxyClient(this.#config)
  }

  verify(): Promise<TransportReport> {
    return verifySmtp(this.#config)
  }

  async quit(): Promise<void> {
    this.#abort.abort()
    for (const session of this.#sessions) session.quit()
    if (this.#sessions.size + this.#quitting.size === 0) return
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise<void>((resolve) => (timer = setTimeout(resolve, QUIT_TIMEOUT)))
    await Promise.race([this.#allEnded(), timeout])
    clearTimeout(timer)
    for (const session of [...this.#sessions, ...this.#quitting]) session.abort()
    for (const transaction of this.#waiting.splice(0)) transaction.onClose('closed')
  }

  async retire(successor: Transport): Promise<void> {
    if (!(successor instanceof SmtpSender)) return this.quit()
    this.#successor = successor
    this.#abort.abort()
    for (const session of this.#sessions) session.quit()
    successor.#adopt(this.#waiting.splice(0))
    await this.#allEnded()
  }

  /** Resolves when the last session has ended. */
  async #allEnded(): Promise<void> {
    if (this.#sessions.size + this.#quitting.size > 0)
      await new Promise<void>((resolve) => this.#endCallbacks.push(resolve))
  }

  #adopt(transactions: readonly Transaction[]): void {
    this.#waiting.unshift(...transactions)
    this.#serve()
  }

  takeNext(pipelined: boolean, used: boolean): Transaction | undefined {
    const index = used ? this.#waiting.findIndex(({ freshOnly }) => !freshOnly) : 0
    const next = this.#waiting[index]
    // A requeued transaction is not pipelined behind another message again.
    if (next === undefined || (pipelined && next.requeues > 0)) return undefined
    next.progress.addTiming('connect', performance.now() - next.createdAt)
    if (index === 0) this.#waiting.shift()
    else this.#waiting.splice(index, 1)
    return next
  }

  requeue(transaction: Transaction, freshOnly?: boolean): void {
    if (!transaction.requeue(freshOnly)) return
    if (transaction.requeues > MAX_REQUEUES) transaction.onClose('closed')
    else if (this.#successor !== undefined) this.#successor.#adopt([transaction])
    else this.#waiting.unshift(transaction)
  }

  onDepth(change: number): void {
    this.#onConnections({ open: 0, pipelined: change })
  }

  onIdle(session: Session): void {
    this.#idle.push(session)
  }

  onQuit(session: Session): void {
    this.#forget(session)
    this.#quitting.add(session)
    this.#serveSoon()
  }

  onEnd(session: Session): void {
    this.#forget(session)
    this.#quitting.delete(session)
    if (this.#sessions.size + this.#quitting.size === 0)
      for (const resolve of this.#endCallbacks.splice(0)) resolve()
    this.#serveSoon()
  }

  /** Deferred, because the callers of a session that ends may still be on the stack. */
  #serveSoon(): void {
    if (this.#waiting.length > 0) queueMicrotask(() => this.#serve())
  }

  /** Starts waiting transactions on the sessions that can take them, and schedules a check for the rest. */
  #serve(): void {
    while (this.#waiting.length > 0) {
      const session = this.#available()
      if (session === undefined) break
      const before = this.#waiting.length
      session.advance()
      if (this.#waiting.length === before) break
    }
    const [first] = this.#waiting
    if (first === undefined) return
    const open = this.#sessions.size + this.#connecting
    const wanted = open === 0 || (first.freshOnly && this.#connecting === 0)
    if (wanted && !this.#paused) {
      if (open + this.#quitting.size < this.#maxConnections) this.#open()
      // Makes room for the fresh connection.
      else if (this.#quitting.size === 0) this.#idle.pop()?.quit()
    }
    const delay = this.#idle.length > 0 ? IDLE_CONNECTION_DELAY : NEW_CONNECTION_DELAY
    this.#timer ??= setTimeout(() => this.#checkWaiting(), delay)
  }

  /** Prefers a busy session, which can write the next envelope along with its current message. */
  #available(): Session | undefined {
    let inUse = false
    for (const session of this.#sessions) {
      if (!session.busy) continue
      if (session.free) return session
      inUse = true
    }
    const [oldest] = this.#waiting
    const early = oldest !== undefined && oldest.createdAt + IDLE_CONNECTION_DELAY > performance.now()
    return inUse && early ? undefined : this.#idle.pop()
  }

  #checkWaiting(): void {
    this.#timer = undefined
    const now = performance.now()
    this.#dropOverdue(now)
    const [oldest] = this.#waiting
    if (oldest === undefined) return
    const overdue = Math.max(oldest.createdAt, this.#connectedAt) + NEW_CONNECTION_DELAY <= now
    const noneIdle = this.#idle.length === 0 && this.#connecting === 0
    if (noneIdle && overdue && !this.#paused) {
      const limit = this.#maxConnections - this.#sessions.size - this.#quitting.size
      for (let more = Math.min(limit, Math.ceil(this.#waiting.length / 2)); more > 0; more--) this.#open()
    }
    this.#serve()
  }

  /** Whether the server refused a connection a short time ago while others work. */
  get #paused(): boolean {
    return this.#sessions.size > 0 && performance.now() < this.#refusedUntil
  }

  #dropOverdue(now: number): void {
    for (let index = this.#waiting.length - 1; index >= 0; index--) {
      if (this.#waiting[index]!.deadline > now) continue
      const [overdue] = this.#waiting.splice(index, 1)
      overdue?.fail(waitedTooLong(this.#sessions.size > 0))
    }
  }

  #open(): void {
    this.#connecting++
    const name = ehloNameFor(this.#config, this.#waiting[0]?.envelope.from)
    void connect(this.#config, name, this.#abort.signal).then((result) => {
      this.#connecting--
      this.#connectedAt = performance.now()
      if ('socket' in result) this.#addSession(result)
      else this.#onRefused(result)
      this.#serve()
    })
  }

  #addSession(connection: OpenConnection): void {
    const { pipelining, chunking } = connection.extensions
    const inChunks = pipelining && chunking && this.#config.pipelineDepth !== 1
    const session = inChunks
      ? new ChunkingSession(connection, this.#config, this)
      : new SmtpSession(connection, this.#config, this)
    this.#sessions.add(session)
    this.#countConnection(connection.socket)
    if (this.#abort.signal.aborted && this.#waiting.length === 0) session.quit()
    else session.advance()
  }

  #countConnection(socket: Socket): void {
    if (socket.closed) return
    this.#onConnections({ open: 1, pipelined: 0 })
    socket.once('close', () => this.#onConnections({ open: -1, pipelined: 0 }))
  }

  /** While other sessions work, messages wait for those. Without any, every waiting message fails. */
  #onRefused(failure: ConnectionFailure): void {
    this.#refusedUntil = performance.now() + REFUSED_PAUSE
    if (this.#sessions.size + this.#connecting > 0) return
    for (const transaction of this.#waiting.splice(0)) transaction.fail(connectionFailed(failure))
  }

  #forget(session: Session): void {
    this.#sessions.delete(session)
    const index = this.#idle.indexOf(session)
    if (index >= 0) this.#idle.splice(index, 1)
  }
}
