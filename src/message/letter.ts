import type { MailJob } from './record.js'
import type { Letter } from '../wire/tasks.js'

/** What a thread needs of a job, and nothing else: each field is copied to it. */
export function letterOf(job: MailJob): Letter {
  const letter: Letter = {
    id: job.id,
    messageId: job.messageId,
    date: job.date,
    from: job.from,
    to: job.to,
    cc: job.cc,
    bcc: job.bcc,
    replyTo: job.replyTo,
    envelopeFrom: job.envelopeFrom,
    content: job.content,
    headers: job.headers,
    references: job.references,
    attachments: job.attachments,
  }
  if (job.context !== undefined) letter.context = job.context
  if (job.subject !== undefined) letter.subject = job.subject
  if (job.inReplyTo !== undefined) letter.inReplyTo = job.inReplyTo
  if (job.listUnsubscribe !== undefined) letter.listUnsubscribe = job.listUnsubscribe
  return letter
}
