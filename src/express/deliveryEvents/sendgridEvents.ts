import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { ThreadpostError, type RecipientDeliveryReport } from '../../index.js'
import { type Json, reportOf, textOf } from './eventFields.js'
import { batchOf, type EventSource, requireSignature } from './eventSource.js'

const SIGNATURE = 'X-Twilio-Email-Event-Webhook-Signature'
const TIMESTAMP = 'X-Twilio-Email-Event-Webhook-Timestamp'

/** SendGrid's signed Event Webhook: an ECDSA signature (P-256, SHA-256) over the timestamp and the body. */
export function sendgridEvents({ publicKey }: { publicKey: string }): EventSource {
  const key = keyOf(publicKey)
  return {
    read: (request, body) => {
      const signed = Buffer.concat([Buffer.from(request.get(TIMESTAMP) ?? ''), body])
      const signature = Buffer.from(request.get(SIGNATURE) ?? '', 'base64')
      requireSignature(verify('sha256', signed, { key, dsaEncoding: 'der' }, signature))
      return batchOf(body, toReport)
    },
  }
}

/** @throws ThreadpostError `INVALID_OPTIONS` */
function keyOf(publicKey: string): KeyObject {
  try {
    const key = publicKey.includes('-----BEGIN')
      ? createPublicKey(publicKey)
      : createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' })
    if (key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return key
  } catch {
    // The error below says what is expected.
  }
  throw new ThreadpostError(
    'INVALID_OPTIONS',
    'sendgrid.publicKey: must be the verification key of the Event Webhook, as SendGrid shows it',
    { path: 'sendgrid.publicKey' },
  )
}

function toReport(event: Json): RecipientDeliveryReport[] {
  const detail = textOf(event['reason']) ?? textOf(event['response'])
  const common = {
    messageId: textOf(event['smtp-id']),
    // The first part is the X-Message-Id of the response that accepted the mail.
    providerId: textOf(event['sg_message_id'])?.replace(/\.(?:filter|recvd).*$/, ''),
    recipient: textOf(event['email']),
    at: event['timestamp'],
    enhanced: textOf(event['status']),
    detail,
    source: 'sendgrid',
  }
  switch (event['event']) {
    case 'delivered':
      return [reportOf({ ...common, enhanced: undefined, state: 'delivered' })]
    case 'deferred':
      return [reportOf({ ...common, state: 'delayed' })]
    case 'bounce':
      // `blocked` says that the address may take the next mail.
      return [
        reportOf({
          ...common,
          state: 'bounced',
          ...(event['type'] === 'blocked' ? { permanent: false } : {}),
        }),
      ]
    case 'dropped':
      return [
        /bounced address|invalid/i.test(detail ?? '')
          ? reportOf({ ...common, state: 'bounced', permanent: true, category: 'mailbox' })
          : reportOf({ ...common, state: 'bounced', permanent: false, category: 'policy' }),
      ]
    case 'spamreport':
      return [reportOf({ ...common, state: 'complained' })]
    case 'unsubscribe':
    case 'group_unsubscribe':
      return [reportOf({ ...common, state: 'unsubscribed' })]
    default:
      return []
  }
}
