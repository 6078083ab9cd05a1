import type { MailJob } from '../message/messageState.js'
import type { MessagePayload } from '../protocol/tasks.js'

/** The part of a job that a thread needs. Nothing else: every field is copied to the thread. @param loaded whether the job contains what `load` returned */
export function toPayload(job: MailJob, loaded: boolean): MessagePayload {
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
  if (loaded) payload.loaded = true
  if (job.sender !== undefined) payload.sender = job.sender
  if (job.context !== undefined) payload.context = job.context
  if (job.subject !== undefined) payload.subject = job.subject
  if (job.inReplyTo !== undefined) payload.inReplyTo = job.inReplyTo
  if (job.listUnsubscribe !== undefined) payload.listUnsubscribe = job.listUnsubscribe
  return payload
}
