import { parseMailboxes } from '../message/addresses.js'
import { type RecordChange, rangeOf, type SharedRecords } from '../queue/records.js'
import { changeOf, fromRecord, PREFIX, removalOf, type StoredSchedule } from '../schedules/schedule.js'
import { Validator } from '../validation.js'
import type { AddressTest } from './replaceAddresses.js'

const RECIPIENTS = ['to', 'cc', 'bcc'] as const
const check: Validator = new Validator('INVALID_MESSAGE')

/**
 * Erases an address from the recipients of all schedules. A schedule that has no other recipient is removed; what the content of
 * another one says of the address stays, since it is for the others.
 * @returns the number of schedules that had the recipient
 */
export async function eraseFromSchedules(records: SharedRecords, isErased: AddressTest): Promise<number> {
  const [found = []] = await records.read([rangeOf(PREFIX)])
  const changes = found.flatMap((record) => {
    const schedule = fromRecord(record)
    return schedule === undefined ? [] : [changesOf(schedule, isErased)]
  })
  if (changes.flat().length > 0) await records.write(changes.flat())
  return changes.filter(({ length }) => length > 0).length
}

function changesOf(schedule: StoredSchedule, isErased: AddressTest): RecordChange[] {
  const { name, definition } = schedule
  const mail = { ...definition.mail }
  let others = 0
  let had = false
  for (const field of [...RECIPIENTS, 'replyTo'] as const) {
    if (mail[field] === undefined) continue
    const mailboxes = parseMailboxes(mail[field], field, check, Infinity)
    const kept = mailboxes.filter(({ address }) => !isErased(address))
    if (field !== 'replyTo') {
      others += kept.length
      had ||= kept.length < mailboxes.length
    }
    if (kept.length < mailboxes.length) mail[field] = kept.map((mailbox) => ({ ...mailbox }))
  }
  if (!had) return []
  return others === 0 ? removalOf(name) : [changeOf({ ...schedule, definition: { ...definition, mail } })]
}
