import type { MailJob } from '../../message/record.js'

/** Milliseconds that a carrier outlives its message: whether that is too late is for Redis to say. */
const LONGER = 30 * 24 * 60 * 60 * 1000

/**
 * A job wrapped in another, for a queue that only hands it on: of one priority, due at once, and never too late, so
 * that the order of acceptance is kept.
 */
export function carrierOf(job: MailJob): MailJob {
  const { attachments, ...inner } = job
  const { notBefore: _, ...carrier } = job
  return {
    ...carrier,
    to: [],
    cc: [],
    bcc: [],
    priority: 5,
    expiresAt: job.expiresAt + LONGER,
    content: { kind: 'literal', text: JSON.stringify(inner) },
    attachments,
  }
}

/** What {@link carrierOf} wrapped. */
export function carried({ content, attachments }: MailJob): MailJob {
  const text = content.kind === 'literal' ? content.text : undefined
  return { ...(JSON.parse(text ?? '{}') as Omit<MailJob, 'attachments'>), attachments }
}
