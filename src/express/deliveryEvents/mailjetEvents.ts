import type { RecipientDeliveryReport } from '../../index.js'
import { type Json, reportOf, textOf } from './eventFields.js'
import { type EventSource, eventsWithToken } from './eventSource.js'

/** Mailjet: a token as the password, or as `?token=`, in the webhook's URL. */
export function mailjetEvents({ token }: { token: string }): EventSource {
  return eventsWithToken(token, toReport)
}

function toReport(event: Json): RecipientDeliveryReport[] {
  const { MessageID: number, error_related_to: about, error, comment } = event
  const common = {
    providerId: typeof number === 'number' || typeof number === 'string' ? String(number) : undefined,
    recipient: textOf(event['email']),
    at: event['time'],
    source: 'mailjet',
  }
  const detail = [error, comment].flatMap((text) => textOf(text) ?? []).join(': ') || undefined
  switch (event['event']) {
    case 'sent':
      return [reportOf({ ...common, state: 'delivered', detail: textOf(event['smtp_reply']) })]
    case 'bounce':
      return [
        reportOf({
          ...common,
          state: 'bounced',
          permanent: event['hard_bounce'] === true,
          category: CATEGORIES.get(textOf(error) ?? '') ?? CATEGORIES.get(textOf(about) ?? ''),
          detail,
        }),
      ]
    case 'blocked':
      return [reportOf({ ...common, state: 'bounced', permanent: false, category: 'policy', detail })]
    case 'spam':
      return [reportOf({ ...common, state: 'complained' })]
    case 'unsub':
      return [reportOf({ ...common, state: 'unsubscribed' })]
    default:
      return []
  }
}

/** The meaning of Mailjet's errors, and of the things they relate to. */
const CATEGORIES: ReadonlyMap<string, RecipientDeliveryReport['category']> = new Map([
  ['user unknown', 'mailbox'],
  ['mailbox inactive', 'mailbox'],
  ['quota exceeded', 'full'],
  ['invalid domain', 'domain'],
  ['no mail host', 'domain'],
  ['relay/access denied', 'policy'],
  ['greylisted', 'policy'],
  ['typofix', 'mailbox'],
  ['sender blocked', 'reputation'],
  ['content blocked', 'content'],
  ['policy issue', 'policy'],
  ['domain', 'domain'],
  ['spam', 'content'],
  ['content', 'content'],
  ['policy', 'policy'],
])
