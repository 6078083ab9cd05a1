import type { Reported } from '../feedback/deliveryStates.js'
import type { Logger } from '../logging/logger.js'
import { enter, type MailJob, type MessageState, settle } from '../message/messageState.js'
import type { Message } from '../message/messageView.js'
import {
  type ActionTarget,
  losesContent,
  type ManualAction,
  notFound,
  recordsOfAction,
  replacing,
} from './actions.js'
import type { ChangeListener, Consumer, RecordsOf, Retention } from './driver.js'
import type { RowCipher } from './encryption/rowCipher.js'
import type { ChangeResult, RecordChange } from './records.js'
import { packJob, packState, unpackHead, unpackState } from './rowCodec.js'
import { type Guard, type MessageReader, show } from './storedQueries.js'
import type { Replacement, StoredRow } from './storedRow.js'

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

interface StoredMutationsOptions {
  guard: Guard
  changed: ChangeListener
  recordsOf: RecordsOf | undefined
  data: Retention['data']
  maxAge: number
  cipher: RowCipher | undefined
  /** Stores the change, unless another one came first. */
  write: (mutation: Mutation) => Promise<ChangeResult>
  /** Withdraws a message from its delivery in this process. Returns undefined if it may still be sent. */
  cancelDelivery: (id: string) => Withdrawal | undefined
}

/** Changes messages on a server as operators and delivery reports ask. */
export class StoredMutations {
  readonly #store: Pick<MessageReader, 'find'>
  readonly #options: StoredMutationsOptions

  constructor(store: Pick<MessageReader, 'find'>, options: StoredMutationsOptions) {
    this.#store = store
    this.#options = options
  }

  /**
   * Applies an action, and tries again if another change came first. A message that was withdrawn from its delivery for the
   * action is requeued unless the action is stored.
   * @returns what builds the message as it then is
   */
  async apply(id: string, action: ManualAction): Promise<() => Message> {
    const { guard, changed, recordsOf, data, maxAge, write } = this.#options
    for (;;) {
      const { paused, rows } = await guard(() => this.#store.find([id]))
      const [row] = rows
      if (row === undefined) throw notFound(id)
      const job = unpackHead(row)
      const state = unpackState(row, job)
      let withdrawn: Withdrawal | undefined
      let written = false
      let target: ActionTarget | undefined
      let reported: Reported | undefined
      try {
        const cancelDelivery = (): boolean => (withdrawn ??= this.#options.cancelDelivery(id)) !== undefined
        target = { id, job, state, now: Date.now(), maxAge, cancelDelivery }
        reported = action(target)
        if (reported?.changes.length === 0) return () => show(row, paused)
        const dropContent = losesContent(state, target, data)
        const records = recordsOfAction(target, reported, recordsOf)
        const replaced = replacing(target, this.#options.cipher)
        written =
          (await guard(() => write({ id, row, state, dropContent, records, ...replaced }))) === 'written'
      } finally {
        withdrawn?.finish(written)
      }
      if (!written) continue
      const after = target.replacement ?? job
      if (target.keepsStatus !== true) changed({ job: after, state, reported })
      return () => show({ ...row, ...packState(state), head: packJob(after, 0).head }, paused)
    }
  }
}

/** A message whose process died while delivering it, with its new state. */
export interface RecoveredMessage {
  job: MailJob
  state: MessageState
  /** Processes that have died while delivering it. */
  losses: number
}

/** Decides about a message whose process died while delivering it: it is settled, or queued again. */
export function recoverStored(
  row: StoredRow & { losses: number },
  consumer: Pick<Consumer, 'recover'>,
  logger: Logger,
): RecoveredMessage {
  const job = unpackHead(row)
  const state = unpackState(row, job)
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
