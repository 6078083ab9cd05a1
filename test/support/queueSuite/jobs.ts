import { decideRetry, type RetryPolicy } from '../../../src/delivery/retry.js'
import { mintId } from '../../../src/message/ids.js'
import { isOpen, type MailJob, mergeRecipients, type Settlement } from '../../../src/message/messageState.js'
import type { Outcome } from '../../../src/protocol/outcome.js'
import type { JsonText } from '../../../src/protocol/tasks.js'
import type { QueuedMessage } from '../../../src/queue/driver.js'

export const DAY = 86_400_000

/** The retry policy for the settlements of the suite. */
export const POLICY: RetryPolicy = { attempts: 3, baseDelay: 20, factor: 1, maxDelay: 20, jitter: 'none' }

export function jobOf(fields: Partial<MailJob> = {}): MailJob {
  const now = Date.now()
  const id = fields.id ?? mintId(now)
  return {
    id,
    messageId: `<${id}@example.com>`,
    date: now,
    from: { address: 'shop@example.com' },
    to: [{ address: 'ada@example.com' }],
    cc: [],
    bcc: [],
    replyTo: [],
    envelopeFrom: 'shop@example.com',
    subject: 'Hello',
    content: { kind: 'template', name: 'welcome', data: '{"name":"Ada"}' as JsonText },
    headers: [],
    references: [],
    attachments: [],
    transport: 'default',
    priority: 5,
    acceptedAt: now,
    expiresAt: now + DAY,
    onUncertain: 'retry',
    tags: [],
    ...fields,
  }
}

/** An outcome as a thread would report it. */
export function outcomeOf(result: Outcome['result'], extra: Partial<Outcome> = {}): Outcome {
  const facts = { message: result, phase: 'replied' as const, recipients: [], timings: {}, thread: 1 }
  switch (result) {
    case 'sent':
      return { ...facts, result, code: 'OK', ...extra } as Outcome
    case 'rejected':
      return { ...facts, result, code: 'SMTP_REJECTED', ...extra } as Outcome
    case 'deferred':
      return { ...facts, result, code: 'SMTP_DEFERRED', ...extra } as Outcome
    case 'uncertain':
      return { ...facts, result, code: 'REPLY_LOST', phase: 'body', ...extra } as Outcome
    case 'withdrawn':
      return { ...facts, result, code: 'CANCELLED', phase: 'connecting', ...extra } as Outcome
  }
}

export function settlementOf({ job, state }: QueuedMessage, outcome: Outcome): Settlement {
  const now = Date.now()
  const recipients = mergeRecipients(state.recipients, outcome)
  const count = (status: string): number =>
    recipients.filter((recipient) => recipient.status === status).length
  const standing = {
    policy: POLICY,
    onUncertain: job.onUncertain,
    counted: state.counted + 1,
    tries: state.attempts.length + 1,
    sent: count('sent'),
    failed: count('failed'),
    open: recipients.filter(isOpen).length,
  }
  return {
    attempt: { start: now, end: now, thread: 1, counted: true, outcome },
    decision: decideRetry(outcome, standing, now, 0.5),
    recipients,
  }
}
