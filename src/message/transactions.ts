import { ThreadpostError } from '../errors.js'
import type { Outcome } from '../protocol/outcome.js'
import { emptyFacts } from '../protocol/unsentOutcome.js'
import type { QueueDriver, Transaction } from '../queue/driver.js'
import { Validator } from '../validation.js'

/** Options of `send()` and `sendMany()`. */
export interface SendOptions {
  /** A transaction of the application, which stores the mail if it commits. Only with a queue on Postgres. @default none */
  tx?: Transaction
}

const check: Validator = new Validator('INVALID_OPTIONS')

/** @throws ThreadpostError `INVALID_OPTIONS`; `UNSUPPORTED` if the queue is not in the application's database */
export function transactionOf(options: SendOptions, queue: QueueDriver): Transaction | undefined {
  const { tx } = check.object(options, '', ['tx'])
  if (tx === undefined) return undefined
  if (queue.enqueueIn === undefined)
    throw new ThreadpostError(
      'UNSUPPORTED',
      "tx: only a queue on Postgres (queue: 'postgres://…') can store mail in your transaction. With another queue, store a prepared mail: see prepare()",
    )
  return isTransaction(tx)
    ? tx
    : check.fail('tx', 'must have a method query(text, values) that runs a statement in your transaction')
}

function isTransaction(value: unknown): value is Transaction {
  return typeof (value as Partial<Transaction> | null)?.query === 'function'
}

/** The outcome of a submitted mail that `send()` would refuse. */
export function refusedWith({ code, message, paths }: ThreadpostError): Outcome {
  const known = code === 'UNKNOWN_TEMPLATE' || code === 'MISSING_DATA' ? code : 'INVALID_MESSAGE'
  const missing = paths === undefined ? {} : { missing: [...paths] }
  return { result: 'rejected', code: known, message, ...missing, ...emptyFacts() }
}
