import type { MessagePayload } from '../protocol/tasks.js'
import type { MailJob } from './messageState.js'

/** The part of a job that a thread needs. Nothing else: every field is copied to the thread. */
export function toPayload(job: MailJob): MessagePayload {
  const payload: MessagePayload = {
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
  if (job.sender !== undefined) payload.sender = job.sender
  if (job.context !== undefined) payload.context = job.context
  if (job.subject !== undefined) payload.subject = job.subject
  if (job.inReplyTo !== undefined) payload.inReplyTo = job.inReplyTo
  if (job.listUnsubscribe !== undefined) payload.listUnsubscribe = job.listUnsubscribe
  if (job.tags.length > 0) payload.tags = job.tags
  if (job.metadata !== undefined) payload.metadata = job.metadata
  return payload
}
