import type { RecipientDeliveryReport } from '../../index.js'
import { type Json, reportOf, textOf } from './eventFields.js'
import { basicOf, batchOf, EventsRefused, type EventSource, sameSecret } from './eventSource.js'

/** Postmark: Basic authentication in the webhook's URL. */
export function postmarkEvents({ username, password }: { username: string; password: string }): EventSource {
  return {
    read: (request, body) => {
      const given = basicOf(request) ?? { username: '', password: '' }
      // Both are compared, so that the time says nothing about either.
      const same = [sameSecret(given.username, username), sameSecret(given.password, password)]
      if (same.includes(false)) throw new EventsRefused('UNAUTHORIZED', 'The user name or password is wrong.')
      return batchOf(body, toReport)
    },
  }
}

/** The meaning of Postmark's bounce types. All other types are replies of people and programs, not bounces. */
const TYPES: ReadonlyMap<string, Pick<RecipientDeliveryReport, 'state' | 'permanent' | 'category'>> = new Map(
  [
    ['HardBounce', { state: 'bounced', permanent: true, category: 'mailbox' }],
    ['BadEmailAddress', { state: 'bounced', permanent: true, category: 'mailbox' }],
    ['ManuallyDeactivated', { state: 'bounced', permanent: true, category: 'policy' }],
    ['Unconfirmed', { state: 'bounced', permanent: false, category: 'policy' }],
    ['SoftBounce', { state: 'bounced', permanent: false }],
    ['DnsError', { state: 'bounced', permanent: false, category: 'domain' }],
    ['SpamNotification', { state: 'bounced', permanent: false, category: 'content' }],
    ['VirusNotification', { state: 'bounced', permanent: false, category: 'content' }],
    ['Blocked', { state: 'bounced', permanent: false, category: 'reputation' }],
    ['DMARCPolicy', { state: 'bounced', permanent: false, category: 'policy' }],
    ['SMTPApiError', { state: 'bounced', permanent: false, category: 'other' }],
    ['TemplateRenderingFailed', { state: 'bounced', permanent: false, category: 'other' }],
    ['Transient', { state: 'delayed' }],
    ['SpamComplaint', { state: 'complained' }],
    ['Unsubscribe', { state: 'unsubscribed' }],
  ],
)

function toReport(event: Json): RecipientDeliveryReport[] {
  const common = {
    providerId: textOf(event['MessageID']),
    recipient: textOf(event['Recipient']) ?? textOf(event['Email']),
    detail: textOf(event['Details']) ?? textOf(event['Description']),
    source: 'postmark',
  }
  switch (event['RecordType']) {
    case 'Delivery':
      return [reportOf({ ...common, state: 'delivered', at: event['DeliveredAt'] })]
    case 'Bounce': {
      const type = TYPES.get(textOf(event['Type']) ?? '')
      return type === undefined ? [] : [reportOf({ ...common, ...type, at: event['BouncedAt'] })]
    }
    case 'SpamComplaint':
      return [reportOf({ ...common, state: 'complained', at: event['BouncedAt'] })]
    case 'SubscriptionChange':
      // The other reasons have events of their own.
      return event['SuppressSending'] === true && event['SuppressionReason'] === 'ManualSuppression'
        ? [reportOf({ ...common, state: 'unsubscribed', at: event['ChangedAt'] })]
        : []
    default:
      return []
  }
}
