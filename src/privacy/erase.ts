import { domainToUnicode } from 'node:url'
import { ThreadpostError } from '../errors.js'
import type { MailerParts } from '../mailerParts.js'
import { parseAddress } from '../message/addresses.js'
import { pagesOf } from '../message/pagination.js'
import type { QueueDriver } from '../queue/driver.js'
import { suppressionKey } from '../suppressions/suppression.js'
import { Validator } from '../validation.js'
import { eraseAction } from './eraseAction.js'
import { eraseFromArchive } from './eraseFromArchive.js'
import { eraseFromEvents } from './eraseFromEvents.js'
import { eraseFromReports } from './eraseFromReports.js'
import { eraseFromSchedules } from './eraseFromSchedules.js'
import { type AddressTest, testFor } from './replaceAddresses.js'

export interface EraseOptions {
  /** Whether the address is also removed from the suppressed addresses, so that it can get mail again. @default false */
  suppressions?: boolean
  /** Name of the operator, for the audit log. @default none */
  by?: string
}

/** The result of an erasure. */
export interface Erasure {
  /** Messages from which the address was erased. */
  messages: number
  /** Those among them that were waiting for this recipient only, and are cancelled now. */
  cancelled: number
  /** Messages that are being sent: they still have the address. Call it again once they are settled. */
  inProgress: number
  /** Messages that no key decrypts: they still have the address. */
  unreadable: number
  /** Schedules that lost the recipient. Those that had no other one are removed. */
  schedules: number
  /** Events for webhooks, waiting or given up, in which the address was replaced. */
  webhookEvents: number
  /** Messages of the archive that were deleted. Absent without the option `archive`. */
  archived?: number
  /** Messages that this process keeps until Redis is back, and that may have the address: call it again then. Absent without a `spool`. */
  spooled?: number
}

const check: Validator = new Validator('INVALID_MESSAGE')

/**
 * Erases an address: see `Mailer.erase()`.
 * @internal
 */
export async function erase(
  { queue, suppressions, settings, archive, archiveDir }: MailerParts,
  input: unknown,
  options: EraseOptions,
): Promise<Erasure> {
  check.object(options, '', ['suppressions', 'by'])
  const address = parseAddress(input, 'address', check)
  const removes = check.boolean(options.suppressions ?? false, 'suppressions')
  const key = suppressionKey(address)
  const isErased = testFor(address)
  // They would send further mail to it.
  const schedules = await eraseFromSchedules(queue.records, isErased)
  await eraseFromReports(queue.records, isErased)
  const { ids, ...counts } = await eraseFromMessages(queue, formsOf(address, key), isErased)
  const erasure: Erasure = {
    ...counts,
    schedules,
    webhookEvents: await eraseFromEvents(queue.records, ids, isErased),
  }
  // A message settles before its file is complete.
  await archive?.written()
  if (archiveDir !== undefined) erasure.archived = await eraseFromArchive(archiveDir, ids, isErased)
  if (queue.spooled !== undefined) erasure.spooled = queue.spooled
  if (removes) await suppressions.remove(key)
  // The log must not undo the erasure.
  await settings.auditLog.add({ by: options.by, action: 'erased an address' }).catch(() => undefined)
  return erasure
}

type MessageCounts = Pick<Erasure, 'messages' | 'cancelled' | 'inProgress' | 'unreadable'>

async function eraseFromMessages(
  queue: QueueDriver,
  forms: ReadonlySet<string>,
  isErased: AddressTest,
): Promise<MessageCounts & { ids: Set<string> }> {
  const action = eraseAction(isErased)
  const ids = new Set<string>()
  const counts: MessageCounts = { messages: 0, cancelled: 0, inProgress: 0, unreadable: 0 }
  for (const recipient of forms)
    for await (const page of pagesOf((query) => queue.list(query), { recipient }))
      for (const { id, status } of page)
        try {
          const after = await queue.act(id, action)
          ids.add(id)
          counts.messages++
          if (after.status === 'cancelled' && status !== 'cancelled') counts.cancelled++
        } catch (error) {
          const code = error instanceof ThreadpostError ? error.code : undefined
          if (code === 'CONFLICT') counts.inProgress++
          else if (code === 'UNREADABLE') counts.unreadable++
          else if (code !== 'NOT_FOUND') throw error
        }
  return { ...counts, ids }
}

/** The forms in which a message may have the address: with the domain as A-labels or as U-labels (RFC 5890). */
function formsOf(address: string, key: string): Set<string> {
  const at = key.lastIndexOf('@') + 1
  return new Set([address, key, `${key.slice(0, at)}${domainToUnicode(key.slice(at))}`])
}
