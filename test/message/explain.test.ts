import { describe, expect, it } from 'vitest'
import { explain } from '../../src/message/explain.js'
import type { Message, MessageAttempt } from '../../src/message/messageView.js'

const TIME = '2026-03-01T10:02:03.000Z'

function messageOf(fields: Partial<Message>): Message {
  return {
    id: '0195a0e0-0000-7000-8000-000000000000',
    messageId: '<0@example.com>',
    status: 'queued',
    uncertain: false,
    from: { address: 'shop@example.com' },
    to: [{ address: 'ada@example.com' }],
    cc: [],
    bcc: [],
    transport: 'default',
    stream: 'transactional',
    priority: 5,
    tags: [],
    attachments: [],
    acceptedAt: TIME,
    expiresAt: '2026-03-04T10:02:03.000Z',
    attempts: [],
    recipients: [{ address: 'ada@example.com', status: 'waiting' }],
    ...fields,
  }
}

function attemptOf(fields: Partial<MessageAttempt>): MessageAttempt {
  return {
    start: TIME,
    end: TIME,
    thread: 1,
    transport: 'default',
    counted: true,
    outcome: 'deferred',
    code: 'SMTP_DEFERRED',
    message: 'The server put it off.',
    phase: 'replied',
    timings: {},
    ...fields,
  }
}

const BUSY = attemptOf({ reply: { code: 451, enhanced: '4.3.2', text: 'busy' } })
const LOST = attemptOf({
  outcome: 'uncertain',
  code: 'REPLY_LOST',
  message: 'The connection closed after the body.',
})
const SENT = attemptOf({ outcome: 'sent', code: 'OK', reply: { code: 250, text: 'ok' } })
const NO = attemptOf({
  outcome: 'rejected',
  code: 'SMTP_REJECTED',
  reply: { code: 550, text: 'no such user' },
})

/** Bob's server accepted the message, and Cy's asked to wait. */
const ONE_OF_TWO: Message['recipients'] = [
  { address: 'bob@example.com', status: 'sent', reply: { code: 250, text: 'ok' } },
  { address: 'cy@example.com', status: 'deferred', reply: { code: 450, enhanced: '4.2.0', text: 'later' } },
]

describe('explain', () => {
  it.each<[string, Partial<Message>]>([
    ['Waiting to be sent.', {}],
    ['Scheduled for 2026-03-01 10:02:03 UTC.', { sendAt: TIME, nextAttemptAt: TIME }],
    ['Requeued, waiting to be sent again.', { attempts: [NO] }],
    ['Being sent now (2nd attempt).', { status: 'sending', attempts: [BUSY] }],
    [
      'Waiting for its next attempt at 2026-03-01 10:02:03 UTC: the server answered "451 4.3.2 busy".',
      { status: 'deferred', nextAttemptAt: TIME, attempts: [BUSY] },
    ],
    [
      'Held because the queue is paused; it continues when the queue is resumed.',
      { status: 'held', heldReason: 'paused' },
    ],
    [
      'Held because its transport is not working: the password was refused; it is sent automatically once the transport works again.',
      {
        status: 'held',
        heldReason: 'breaker',
        attempts: [attemptOf({ code: 'AUTH_FAILED', message: 'The password was refused.' })],
      },
    ],
    [
      'Held because the worker threads keep crashing, and no message is the cause; it is sent automatically once a thread stays up.',
      { status: 'held', heldReason: 'setup' },
    ],
    [
      'Held because the worker threads keep crashing, and no message is the cause: no thread lives long enough to take mail: no price list; it is sent automatically once a thread stays up.',
      {
        status: 'held',
        heldReason: 'setup',
        attempts: [
          attemptOf({
            code: 'SETUP_FAILED',
            message: 'No thread lives long enough to take mail: no price list',
          }),
        ],
      },
    ],
    [
      'Held since 2026-03-01 10:02:03 UTC because it may already have been sent: the connection closed after the body; choose retry, cancel, or markSent.',
      { status: 'held', heldReason: 'uncertain', uncertain: true, attempts: [LOST] },
    ],
    [
      'Accepted by the next mail server at 2026-03-01 10:02:03 UTC.',
      { status: 'sent', settledAt: TIME, attempts: [SENT] },
    ],
    [
      'Accepted by the next mail server at 2026-03-01 10:02:03 UTC, on the 2nd attempt; it may have arrived twice, because an earlier attempt received no reply.',
      { status: 'sent', settledAt: TIME, uncertain: true, attempts: [LOST, SENT] },
    ],
    [
      'Marked as sent manually at 2026-03-01 10:02:03 UTC.',
      { status: 'sent', settledAt: TIME, uncertain: true, attempts: [LOST] },
    ],
    [
      'Sent to ada@example.com, but not to bob@example.com and 1 more: the server answered "550 no such user".',
      {
        status: 'partial',
        attempts: [SENT],
        recipients: [
          { address: 'ada@example.com', status: 'sent' },
          { address: 'bob@example.com', status: 'failed', reply: { code: 550, text: 'no such user' } },
          { address: 'cy@example.com', status: 'failed' },
        ],
      },
    ],
    ['Permanently rejected: the server answered "550 no such user".', { status: 'failed', attempts: [NO] }],
    [
      'Given up after 2 attempts: the server answered "451 4.3.2 busy".',
      { status: 'failed', attempts: [BUSY, BUSY] },
    ],
    [
      'Given up: 3 threads ended while they worked on this message alone; check its template and data before you retry it.',
      {
        status: 'failed',
        attempts: [
          attemptOf({
            outcome: 'rejected',
            code: 'POISON',
            message: '3 threads ended while they worked on this message alone.',
          }),
        ],
      },
    ],
    ['Expired at 2026-03-04 10:02:03 UTC: it was never attempted.', { status: 'expired' }],
    [
      'Waiting for its next attempt at 2026-03-01 10:02:03 UTC: the server accepted it for 1 of 2 recipients, and answered "450 4.2.0 later" for cy@example.com.',
      { status: 'deferred', nextAttemptAt: TIME, attempts: [SENT], recipients: ONE_OF_TWO },
    ],
    [
      'Expired at 2026-03-04 10:02:03 UTC: after 1 attempt; the server accepted it for 1 of 2 recipients, and answered "450 4.2.0 later" for cy@example.com.',
      { status: 'expired', attempts: [SENT], recipients: ONE_OF_TWO },
    ],
    [
      'Expired at 2026-03-04 10:02:03 UTC: after 2 attempts; the last one failed: the server answered "451 4.3.2 busy"; it was sent to bob@example.com.',
      { status: 'expired', attempts: [SENT, BUSY], recipients: ONE_OF_TWO },
    ],
    [
      'Cancelled at 2026-03-01 10:02:03 UTC, after 1 attempt; it was sent to bob@example.com.',
      { status: 'cancelled', settledAt: TIME, attempts: [SENT], recipients: ONE_OF_TWO },
    ],
    [
      'Marked as sent manually at 2026-03-01 10:02:03 UTC.',
      {
        status: 'sent',
        settledAt: TIME,
        attempts: [SENT],
        recipients: ONE_OF_TWO.map((recipient) => ({ ...recipient, status: 'sent' })),
      },
    ],
    [
      'Accepted by the next mail server, as a delivery report shows. Delivered to ada@example.com at 2026-03-01 10:02:03 UTC.',
      {
        status: 'sent',
        settledAt: TIME,
        uncertain: true,
        attempts: [LOST],
        recipients: [
          {
            address: 'ada@example.com',
            status: 'sent',
            delivery: { state: 'delivered', at: TIME, source: 'dsn' },
          },
        ],
      },
    ],
    [
      'Held because the queue is paused; it is sent at 2026-03-01 10:02:03 UTC if the queue is resumed by then.',
      { status: 'held', heldReason: 'paused', sendAt: TIME, nextAttemptAt: TIME },
    ],
    [
      'Expired at 2026-03-04 10:02:03 UTC: after 1 attempt; the last one failed: the server answered "451 4.3.2 busy".',
      { status: 'expired', attempts: [BUSY] },
    ],
    [
      'Cancelled at 2026-03-01 10:02:03 UTC before the first attempt.',
      { status: 'cancelled', settledAt: TIME },
    ],
    [
      'Cancelled at 2026-03-01 10:02:03 UTC before the first attempt. Its content and an address were erased.',
      { status: 'cancelled', settledAt: TIME, erased: true },
    ],
    [
      'Cancelled at 2026-03-01 10:02:03 UTC, after 1 attempt; an earlier attempt received no reply, so it may have arrived.',
      { status: 'cancelled', settledAt: TIME, uncertain: true, attempts: [LOST] },
    ],
  ])('%s', (expected, fields) => {
    expect(explain(messageOf(fields))).toBe(expected)
  })
})
