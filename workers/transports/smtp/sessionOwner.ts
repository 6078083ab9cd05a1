import type { Session } from './session.js'
import type { Transaction } from './transaction.js'

/** Whom a session gets its transactions from. */
export interface SessionOwner {
  /**
   * The next transaction, if there is one.
   * @param riding it is to ride behind another's final dot
   */
  take(riding: boolean): Transaction | undefined
  /** It certainly was not sent, through no fault of its own. */
  giveBack(transaction: Transaction): void
  /** The session has nothing left to do. */
  idle(session: Session): void
  /** The session says goodbye: it takes nothing more. */
  leaving(session: Session): void
  ended(session: Session): void
}
