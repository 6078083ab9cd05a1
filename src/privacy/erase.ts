import { domainToUnicode } from 'node:url'
import { ThreadpostError } from '../errors.js'
import type { MailerParts } from '../mailerParts.js'
import { parseAddress } from '../message/addresses.js'
import { pagesOf } from '../message/pagination.js'
import { suppressionKey } from '../suppressions/suppression.js'
import { Validator } from '../validation.js'
import { eraseAction } from './eraseAction.js'

export interface EraseOptions {
  /** Whether the address is removed from the suppressed addresses as well: then it may be sent mail again. @default false */
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
}

const check: Validator = new Validator('INVALID_MESSAGE')

/** Erases an address: see `Mailer.erase()`. */
export async function erase(
  { queue, suppressions, settings }: MailerParts,
  input: unknown,
  options: EraseOptions,
): Promise<Erasure> {
  check.object(options, '', ['suppressions', 'by'])
  const address = parseAddress(input, 'address', check)
  const removes = check.boolean(options.suppressions ?? false, 'suppressions')
  const key = suppressionKey(address)
  const action = eraseAction(key)
  const erasure: Erasure = { messages: 0, cancelled: 0, inProgress: 0, unreadable: 0 }
  for (const recipient of formsOf(address, key))
    for await (const page of pagesOf((query) => queue.list(query), { recipient }))
      for (const { id, status } of page)
        try {
          const after = await queue.act(id, action)
          erasure.messages++
          if (after.status === 'cancelled' && status !== 'cancelled') erasure.cancelled++
        } catch (error) {
          const code = error instanceof ThreadpostError ? error.code : undefined
          if (code === 'CONFLICT') erasure.inProgress++
          else if (code === 'UNREADABLE') erasure.unreadable++
          else if (code !== 'NOT_FOUND') throw error
        }
  if (removes) await suppressions.remove(key)
  // The log must not undo the erasure.
  await settings.auditLog.add({ by: options.by, action: 'erased an address' }).catch(() => undefined)
  return erasure
}

/** The forms in which a message may have the address: with the domain as A-labels or as U-labels (RFC 5890). */
function formsOf(address: string, key: string): Set<string> {
  const at = key.lastIndexOf('@') + 1
  return new Set([address, key, `${key.slice(0, at)}${domainToUnicode(key.slice(at))}`])
}
