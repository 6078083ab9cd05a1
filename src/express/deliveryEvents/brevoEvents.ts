import type { RecipientDeliveryReport } from '../../index.js'
import { type Json, reportOf, textOf } from './eventFields.js'
import { type EventSource, eventsWithToken } from './eventSource.js'

/** Brevo: a token, as `Authorization: Bearer`, or as `?token=` in the webhook's URL. */
export function brevoEvents({ token }: { token: string }): EventSource {
  return eventsWithToken(token, toReport)
}

const EVENTS: ReadonlyMap<
  string,
  Pick<RecipientDeliveryReport, 'state' | 'permanent' | 'category'>
> = new Map([
  ['delivered', { state: 'delivered' }],
  ['deferred', { state: 'delayed' }],
  ['soft_bounce', { state: 'bounced', permanent: false }],
  ['hard_bounce', { state: 'bounced', permanent: true }],
  ['invalid_email', { state: 'bounced', permanent: true, category: 'mailbox' }],
  ['blocked', { state: 'bounced', permanent: false, category: 'policy' }],
  ['error', { state: 'bounced', permanent: false, category: 'other' }],
  ['spam', { state: 'complained' }],
  ['complaint', { state: 'complained' }],
  ['unsubscribed', { state: 'unsubscribed' }],
])

function toReport(event: Json): RecipientDeliveryReport[] {
  const kind = EVENTS.get(textOf(event['event']) ?? '')
  if (kind === undefined) return []
  const detail = textOf(event['reason'])
  return [
    reportOf({
      ...kind,
      // A hard bounce without a reason is a dead address.
      ...(event['event'] === 'hard_bounce' && detail === undefined ? { category: 'mailbox' as const } : {}),
      messageId: textOf(event['message-id']),
      providerId: textOf(event['message-id']),
      recipient: textOf(event['email']),
      at: event['ts_event'] ?? event['ts'],
      detail,
      source: 'brevo',
    }),
  ]
}
