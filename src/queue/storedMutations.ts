import type { Reported } from '../feedback/deliveryStates.js'
import type { Condition } from '../logging/conditionLog.js'
import type { Logger } from '../logging/logger.js'
import { enter, type MailJob, type MessageState, settle, type Status } from '../message/messageState.js'
import type { Message } from '../message/messageView.js'
import {
  type ActionTarget,
  dropsContent,
  losesContent,
  type ManualAction,
  notFound,
  recordsOfAction,
  replacing,
} from './actions.js'
import type { ChangeListener, Consumer, QueuedMessage, RecordsOf, Retention } from './driver.js'
import type { RowCipher } from './encryption/rowCipher.js'
import type { ChangeResult, RecordChange } from './records.js'
import { packJob, packState, unpackHead, unpackState } from './rowCodec.js'
import type { Replacement, StoredRow } from './storedRow.js'

/** The condition of a process that knows outcomes which its queue's server did not take yet. */
export const OUTCOME_NOT_STORED: Condition = {
  begins: 'An outcome could not be stored yet',
  level: 'error',
  ends: 'Outcomes are stored again',
}

/** A message that an action withdrew from its delivery. */
export interface Withdrawal {
  /** @param changed whether the change is stored; otherwise the message is requeued */
  finish(changed: boolean): void
}

/** A new state of a message that nobody is delivering. */
export interface Mutation {
  id: string
  /** The row that the state was made from. */
  row: StoredRow
  state: MessageState
  /** Whether the content is removed. */
  dropContent: boolean
  /** A head that replaces the one of the message. */
  replacement?: Replacement
  records?: readonly RecordChange[] | undefined
}

/** A message as it was read for a change. */
export interface FoundRow {
  row: StoredRow
  /** A row of the message as `find()` returns it. */
  show: (row: StoredRow) => Message
}

interface StoredMutationsOptions {
  read: (id: string) => Promise<FoundRow | undefined>
  /** Stores the change, unless another one came first. */
  write: (mutation: Mutation) => Promise<ChangeResult>
  changed: ChangeListener
  recordsOf: RecordsOf | undefined
  data: Retention['data']
  maxAge: number
  cipher: RowCipher | undefined
  /** Withdraws a message that is stored as `sending`, and that this process shows as queued. @default there is none */
  withdrawPrefetched?: (row: StoredRow) => Withdrawal | undefined
  /** Withdraws a message from its delivery in this process. Returns undefined if it may still be sent. */
  cancelDelivery: (id: string) => Withdrawal | undefined
}

/** Changes stored messages: as operators and delivery reports ask, and when they expire. */
export class StoredMutations {
  readonly #options: StoredMutationsOptions

  constructor(options: StoredMutationsOptions) {
    this.#options = options
  }

  /**
   * Applies an action, and tries again if another change came first. A message that was withdrawn from its delivery for the
   * action is requeued unless the action is stored.
   * @returns what builds the message as it then is
   */
  async apply(id: string, action: ManualAction): Promise<() => Message> {
    const { read, write, changed, recordsOf, data, maxAge, cipher } = this.#options
    for (;;) {
      const found = await read(id)
      if (found === undefined) throw notFound(id)
      const { row, show } = found
      const job = unpackHead(row)
      const state = unpackState(row, job)
      let withdrawn = this.#options.withdrawPrefetched?.(row)
      if (withdrawn !== undefined) state.status = 'queued'
      let written = false
      let target: ActionTarget | undefined
      let reported: Reported | undefined
      try {
        const cancelDelivery = (): boolean => (withdrawn ??= this.#options.cancelDelivery(id)) !== undefined
        target = { id, job, state, now: Date.now(), maxAge, cancelDelivery }
        reported = action(target)
        if (reported?.changes.length === 0) return () => show(row)
        const dropContent = losesContent(state, target, data)
        const records = recordsOfAction(target, reported, recordsOf)
        const mutation = { id, row, state, dropContent, records, ...replacing(target, cipher) }
        written = (await write(mutation)) === 'written'
      } finally {
        withdrawn?.finish(written)
      }
      if (!written) continue
      const after = target.replacement ?? job
      if (target.keepsStatus !== true) changed({ job: after, state, reported })
      return () => show({ ...row, ...packState(state), head: packJob(after, 0).head })
    }
  }

  /** Settles a message as expired, unless another change came first. */
  async expire({ id, row }: { id: string; row: StoredRow }): Promise<void> {
    const { write, changed, recordsOf, data } = this.#options
    const expired = entered(row, 'expired')
    const { state } = expired
    const dropContent = dropsContent(state.status, data)
    if ((await write({ id, row, state, dropContent, records: recordsOf?.(expired) })) === 'stale') return
    changed(expired)
  }
}

/** A stored message with the status that it enters now. */
export function entered(row: StoredRow, status: Status, job = unpackHead(row)): QueuedMessage {
  const state = unpackState(row, job)
  enter(state, status, Date.now())
  return { job, state }
}

/** A message whose process died while delivering it, with its new state. */
export interface RecoveredMessage {
  job: MailJob
  state: MessageState
  /** Processes that have died while delivering it. */
  losses: number
}

/**
 * Decides about a message whose process died while delivering it: it is settled, or queued again.
 * @returns undefined if no key decrypts it: a process that has the key decides
 */
export function recoverStored(
  row: StoredRow & { losses: number },
  consumer: Pick<Consumer, 'recover'>,
  logger: Logger,
): RecoveredMessage | undefined {
  const job = unpackHead(row)
  const state = unpackState(row, job)
  if (state.sealed !== undefined) return undefined
  const losses = row.losses + 1
  logger.warn({ id: job.id, losses }, 'Recovering a message whose process died')
  const settlement = consumer.recover({ job, state }, undefined, losses)
  if (settlement === undefined) enter(state, 'queued', Date.now())
  else settle(state, settlement, Date.now())
  return { job, state, losses }
}

/** A change of a message that comes with records. */
interface Accompanied {
  records?: readonly RecordChange[] | undefined
}

/**
 * Stores the records of some changes, then the changes: what a record announces is never lost with the process. Takes back the
 * records of changes that turn out stale.
 */
export async function storeWithRecords<Reply extends ChangeResult | [ChangeResult, ...unknown[]]>(
  changes: readonly Accompanied[],
  write: (changes: readonly RecordChange[]) => Promise<void>,
  store: () => Promise<Reply[]>,
): Promise<Reply[]> {
  const records = changes.flatMap((change) => change.records ?? [])
  if (records.length === 0) return store()
  await write(records)
  const replies = await store()
  const stale = changes.flatMap(({ records = [] }, index) => {
    const reply = replies[index]
    return (Array.isArray(reply) ? reply[0] : reply) === 'stale' ? records : []
  })
  if (stale.length > 0) await write(stale.map(reverted))
  return replies
}

/** The change that takes back another: of numbers that were added, or of a whole record. */
function reverted({ key, keepUntil, add }: RecordChange): RecordChange {
  if (add === undefined) return { key, keepUntil, remove: true }
  return {
    key,
    keepUntil,
    add: Object.fromEntries(Object.entries(add).map(([name, amount]) => [name, -amount])),
  }
}
