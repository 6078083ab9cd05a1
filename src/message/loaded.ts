import { languageTag } from '../context.js'
import type { LoadedAttachment, LoadedValue } from '../protocol/tasks.js'
import { Validator } from '../validation.js'
import { parseMailboxes } from './addresses.js'
import { type AttachmentSource, readAttachments, readsAttachments } from './attachmentFiles.js'
import { attachmentsOf } from './attachments.js'
import { sizeOfContent } from './content.js'
import { type MailJob, recipientsOf, type RecipientState } from './messageState.js'
import type { AcceptedLoad } from './storedLoad.js'

const check: Validator = new Validator('INVALID_MESSAGE')

/** The rules for attachments and addresses, as for a mail of `send()`. */
export interface LoadRules extends AttachmentSource {
  limits: { message: number; attachments: number; recipients: number }
}

/**
 * Validates what a template's `load` function returned, by the rules of `send()`. Files are read from `attachmentRoot`.
 * @throws ThreadpostError `INVALID_MESSAGE` with the path of the field
 */
export async function acceptLoaded(
  job: MailJob,
  { data, to, locale, attachments }: LoadedValue,
  rules: LoadRules,
): Promise<AcceptedLoad> {
  const accepted: AcceptedLoad = {}
  if (data !== undefined) {
    if (data.includes('\\u0000')) check.fail('data', 'contains a NUL character')
    accepted.data = data
  }
  if (locale !== undefined) accepted.locale = languageTag(locale, 'locale')
  if (to !== undefined) {
    accepted.to = parseMailboxes(to, 'to', check, rules.limits.recipients)
    const count = recipientsOf({ ...job, to: accepted.to }).length
    if (count === 0) check.fail('to', 'the mail has no recipient in to, cc or bcc')
    if (count > rules.limits.recipients)
      check.fail('to', `the mail has ${count} recipients; at most ${rules.limits.recipients} are allowed`)
  }
  if (attachments !== undefined) {
    const given = { attachments: attachments.map(withoutBytes) }
    const { attachments: read } = readsAttachments(given) ? await readAttachments(given, rules, check) : given
    const added = attachmentsOf(read, check, rules.limits.attachments - job.attachments.length)
    accepted.attachments = added.map((attachment, index) => {
      const bytes = bytesOf(attachments[index])
      return bytes === undefined ? attachment : { ...attachment, content: bytes, size: bytes.byteLength }
    })
  }
  const whole = withLoad(job, accepted)
  const bytes = whole.attachments.reduce((sum, { size }) => sum + size, sizeOfContent(whole.content))
  if (bytes > rules.limits.message)
    check.fail(
      '',
      `The mail has ${bytes} bytes; at most ${rules.limits.message} are allowed (limits.message)`,
    )
  return accepted
}

/** The bytes of an attachment. They are a copy already, which nothing else refers to. */
function bytesOf(attachment: LoadedAttachment | undefined): Uint8Array | undefined {
  const content = attachment?.content
  return content instanceof Uint8Array ? content : undefined
}

function withoutBytes(attachment: LoadedAttachment): LoadedAttachment {
  return bytesOf(attachment) === undefined ? attachment : { ...attachment, content: '' }
}

/** Returns the job with what `load` returned. */
export function withLoad(job: MailJob, { to, locale, data, attachments }: AcceptedLoad): MailJob {
  const { content } = job
  return {
    ...job,
    ...(to === undefined ? {} : { to }),
    content:
      content.kind !== 'template'
        ? content
        : {
            ...content,
            ...(data === undefined ? {} : { data }),
            ...(locale === undefined ? {} : { locale }),
          },
    attachments: attachments === undefined ? job.attachments : [...job.attachments, ...attachments],
  }
}

/** Returns the recipients of the job. Those that it had before keep their results. */
export function recipientsAfterLoad(job: MailJob, before: readonly RecipientState[]): RecipientState[] {
  const known = new Map(before.map((recipient) => [recipient.address, recipient]))
  return recipientsOf(job).map((address) => known.get(address) ?? { address, status: 'waiting' })
}
