import { createHmac } from 'node:crypto'
import type { RecipientDeliveryReport } from '../../index.js'
import { type Json, objectOf, reportOf, textOf, timeOf } from './eventFields.js'
import { type EventSource, parseEvents, requireRecent, requireSignature, sameSecret } from './eventSource.js'

/** Mailgun: an HMAC (SHA-256) over a timestamp and a token, which is good once. */
export function mailgunEvents({ signingKey }: { signingKey: string }): EventSource {
  return {
    read: (_, body) => {
      const { signature: signed, 'event-data': event } = objectOf(parseEvents(body))
      const { timestamp, token, signature } = objectOf(signed)
      const [time, name] = [textOf(timestamp) ?? '', textOf(token) ?? '']
      const expected = createHmac('sha256', signingKey)
        .update(time + name)
        .digest('hex')
      requireSignature(name !== '' && sameSecret(textOf(signature) ?? '', expected))
      requireRecent(timeOf(time))
      const reports = toReport(objectOf(event))
      // The signature is over both without a separator, and not over the body: what it signs is good once, however it is divided.
      return { reports, ignored: 1 - reports.length, once: `mailgun:${time}${name}` }
    },
  }
}

function toReport(event: Json): RecipientDeliveryReport[] {
  const status = objectOf(event['delivery-status'])
  const common = {
    messageId: textOf(objectOf(objectOf(event['message'])['headers'])['message-id']),
    recipient: textOf(event['recipient']),
    at: event['timestamp'],
    enhanced: textOf(status['enhanced-code']),
    detail: detailOf(status, textOf(event['reason'])),
    source: 'mailgun',
  }
  switch (event['event']) {
    case 'delivered':
      return [reportOf({ ...common, enhanced: undefined, state: 'delivered' })]
    case 'failed': {
      if (event['severity'] === 'temporary') return [reportOf({ ...common, state: 'delayed' })]
      // Mailgun didn't try, because the address bounced before, complained, or unsubscribed.
      const suppressed = textOf(event['reason'])?.startsWith('suppress-') === true
      return [
        reportOf({
          ...common,
          state: 'bounced',
          permanent: true,
          ...(suppressed ? { category: event['reason'] === 'suppress-bounce' ? 'mailbox' : 'policy' } : {}),
        }),
      ]
    }
    case 'rejected':
      return [reportOf({ ...common, state: 'bounced', permanent: false, category: 'policy' })]
    case 'complained':
      return [reportOf({ ...common, state: 'complained' })]
    case 'unsubscribed':
      return [reportOf({ ...common, state: 'unsubscribed' })]
    default:
      return []
  }
}

function detailOf({ code, message, description }: Json, reason: string | undefined): string | undefined {
  const text = textOf(message) ?? textOf(description) ?? reason
  return typeof code === 'number' && text !== undefined && !text.startsWith(String(code))
    ? `${code} ${text}`
    : text
}
