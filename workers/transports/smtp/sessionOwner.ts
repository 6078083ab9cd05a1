import type { SmtpSession } from './smtpSession.js'
import type { Transaction } from './transaction.js'

/** Supplies a session with transactions, and follows its life. */
export interface SessionOwner {
  /**
   * Removes the next transaction from the queue and returns it, if there is one.
   * @param pipelined its envelope will follow another message's final dot in the same write
   * @param used the session serves or has served other messages
   */
  takeNext(pipelined: boolean, used: boolean): Transaction | undefined
  /**
   * Takes back a transaction that was certainly not sent and did not cause the close.
   * @param freshOnly only a fresh connection may take it
   */
  requeue(transaction: Transaction, freshOnly?: boolean): void
  onIdle(session: SmtpSession): void
  /** The session sends QUIT and takes no more transactions. */
  onQuit(session: SmtpSession): void
  onEnd(session: SmtpSession): void
}
