import { createHmac } from 'node:crypto'
import type { Request } from 'express'
import { type RecipientDeliveryReport, ThreadpostError } from '../../index.js'
import { type Json, listOf, objectOf, reportOf, textOf, timeOf } from './eventFields.js'
import { type EventSource, parseEvents, requireRecent, requireSignature, sameSecret } from './eventSource.js'

/** Resend: Standard Webhooks, as Svix sends them: an HMAC (SHA-256) over id, timestamp, and body. */
export function resendEvents({ secret }: { secret: string }): EventSource {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
  if (key.length < 16)
    throw new ThreadpostError('INVALID_OPTIONS', "resend.secret: must be the webhook's secret, 'whsec_…'", {
      path: 'resend.secret',
    })
  return {
    read: (request, body) => {
      const [id, timestamp, signatures] = ['id', 'timestamp', 'signature'].map((name) =>
        header(request, name),
      )
      const expected = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64')
      const given = (signatures ?? '').slice(0, 2_000).split(' ').slice(0, 20)
      requireSignature(given.filter((one) => sameSecret(one, `v1,${expected}`)).length > 0)
      requireRecent(timeOf(timestamp))
      const reports = toReport(objectOf(parseEvents(body)))
      return { reports, ignored: 1 - reports.length, once: `resend:${id}` }
    },
  }
}

function header(request: Request, name: string): string {
  return request.get(`svix-${name}`) ?? request.get(`webhook-${name}`) ?? ''
}

function toReport({ type, created_at: at, data }: Json): RecipientDeliveryReport[] {
  const { email_id: id, to, bounce, message_id: messageId } = objectOf(data)
  const recipients = (typeof to === 'string' ? [to] : listOf(to)).map(textOf)
  // With several recipients, Resend doesn't say which of them the event is about.
  if (recipients.length !== 1) return []
  const common = {
    providerId: textOf(id),
    messageId: textOf(messageId),
    recipient: recipients[0]?.replace(/^.*<([^<>]*)>$/, '$1'),
    at,
    source: 'resend',
  }
  switch (type) {
    case 'email.delivered':
      return [reportOf({ ...common, state: 'delivered' })]
    case 'email.delivery_delayed':
      return [reportOf({ ...common, state: 'delayed' })]
    case 'email.bounced': {
      const { type: kind, subType, message } = objectOf(bounce)
      const permanent = kind === undefined ? undefined : kind === 'Permanent'
      const category = CATEGORIES.get(textOf(subType) ?? '')
      return [reportOf({ ...common, state: 'bounced', permanent, category, detail: textOf(message) })]
    }
    case 'email.complained':
      return [reportOf({ ...common, state: 'complained' })]
    default:
      return []
  }
}

const CATEGORIES: ReadonlyMap<string, RecipientDeliveryReport['category']> = new Map([
  ['NoEmail', 'mailbox'],
  ['Suppressed', 'mailbox'],
  ['MailboxFull', 'full'],
  ['MessageTooLarge', 'size'],
  ['ContentRejected', 'content'],
  ['AttachmentRejected', 'content'],
])
