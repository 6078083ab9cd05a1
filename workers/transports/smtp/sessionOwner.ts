import type { Transaction } from './transaction.js'

/** How long a server may take to answer QUIT and close, in ms. */
export const QUIT_TIMEOUT = 1_000

/** Runs mail transactions over one connection that is greeted, encrypted and authenticated (`connect()`). */
export interface Session {
  /** Whether a transaction is in progress. */
  readonly busy: boolean
  /** Whether an envelope could be written at once. */
  readonly free: boolean
  /** Starts the owner's next transaction if possible. The owner calls this whenever one may be waiting. */
  advance(): void
  /** Sends QUIT once no transaction is in progress, and closes (RFC 5321 section 4.1.1.10). */
  quit(): void
  /** Closes the connection immediately. */
  abort(): void
}

/** Supplies a session with transactions, and follows its life. */
export interface SessionOwner {
  /**
   * Removes the next transaction from the queue and returns it, if there is one.
   * @param pipelined its envelope will follow another message's final dot in the same write
   * @param used the session serves or has served other messages
   */
  takeNext(pipelined: boolean, used: boolean): Transaction | undefined
  /**
   * Takes back a transaction that was certainly not sent and did not cause the close. One that may have been sent is
   * settled as uncertain (`Transaction.requeue`).
   * @param freshOnly only a fresh connection may take it
   */
  requeue(transaction: Transaction, freshOnly?: boolean): void
  /** The session may have so many more messages in flight than before. */
  onDepth(change: number): void
  onIdle(session: Session): void
  /** The session takes no more transactions: it sends QUIT, or the server closes the connection. */
  onQuit(session: Session): void
  onEnd(session: Session): void
}
