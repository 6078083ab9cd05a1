import { verify, X509Certificate } from 'node:crypto'
import type { RecipientDeliveryReport } from '../../index.js'
import { parseJson } from '../../protocol/parseJson.js'
import { type Json, listOf, objectOf, reportOf, textOf } from './eventFields.js'
import {
  type EventBatch,
  EventsRefused,
  type EventSource,
  parseEvents,
  requireSignature,
} from './eventSource.js'

export interface SesEventOptions {
  /** ARNs of the SNS topics to which Amazon SES publishes. Others are refused, and their subscriptions not confirmed. */
  topics: readonly string[]
  /** Fetches the signing certificate, and confirms a subscription. @default the global `fetch` */
  fetch?: typeof fetch
}

/** Hosts of Amazon SNS: nothing else may provide a certificate, or be asked to confirm a subscription. */
const SNS_HOST = /^sns\.([a-z]{2,}(?:-[a-z]+)+-\d{1,2})\.amazonaws\.com(?:\.cn)?$/
const CERTIFICATE = /^\/SimpleNotificationService-[0-9a-f]{32}\.pem$/
const NOTIFICATION = ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type']
const CONFIRMATION = ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type']
const MAX_CERTIFICATES = 20
const MAX_CERTIFICATE = 20_000
const FETCH_TIMEOUT = 10_000

/** Amazon SES through SNS: an RSA signature of a certificate from Amazon's host. */
export function sesEvents({ topics, fetch: request = fetch }: SesEventOptions): EventSource {
  const certificates = new Map<string, X509Certificate>()

  const certificateAt = async (url: string): Promise<X509Certificate> => {
    const known = certificates.get(url)
    if (known !== undefined) return known
    const response = await request(url, { redirect: 'error', signal: AbortSignal.timeout(FETCH_TIMEOUT) })
    const pem = await response.text()
    if (!response.ok || pem.length > MAX_CERTIFICATE) throw new Error('no certificate')
    const certificate = new X509Certificate(pem)
    if (certificates.size >= MAX_CERTIFICATES) certificates.clear()
    certificates.set(url, certificate)
    return certificate
  }

  const isSigned = async (message: Json, fields: readonly string[]): Promise<boolean> => {
    const url = snsUrl(message['SigningCertURL'], textOf(message['TopicArn']))
    if (url === undefined || !CERTIFICATE.test(url.pathname)) return false
    const version = message['SignatureVersion']
    if (version !== '1' && version !== '2') return false
    const signed = fields
      .filter((field) => typeof message[field] === 'string')
      .map((field) => `${field}\n${message[field] as string}\n`)
      .join('')
    try {
      const { publicKey, validTo } = await certificateAt(url.href)
      if (Date.parse(validTo) < Date.now()) return false
      const signature = Buffer.from(textOf(message['Signature']) ?? '', 'base64')
      return verify(version === '1' ? 'sha1' : 'sha256', Buffer.from(signed), publicKey, signature)
    } catch {
      return false
    }
  }

  return {
    read: async (_, body) => {
      const message = objectOf(parseEvents(body))
      const topic = textOf(message['TopicArn'])
      if (topic === undefined || !topics.includes(topic))
        throw new EventsRefused('UNAUTHORIZED', 'The topic is not among the option ses.topics.')
      const notifies = message['Type'] === 'Notification'
      requireSignature(await isSigned(message, notifies ? NOTIFICATION : CONFIRMATION))
      if (notifies) return eventsOf(message)
      if (message['Type'] === 'SubscriptionConfirmation')
        await confirm(message['SubscribeURL'], topic, request)
      return { reports: [], ignored: 1 }
    },
  }
}

async function confirm(value: unknown, topic: string, request: typeof fetch): Promise<void> {
  const url = snsUrl(value, topic)
  if (url === undefined) throw new EventsRefused('UNAUTHORIZED', 'The SubscribeURL is not one of Amazon SNS.')
  const response = await request(url.href, { redirect: 'error', signal: AbortSignal.timeout(FETCH_TIMEOUT) })
  await response.body?.cancel()
  if (!response.ok) throw new Error(`Amazon SNS did not confirm the subscription: ${response.status}`)
}

/** A URL of Amazon SNS in the region of the topic (`arn:aws:sns:REGION:ACCOUNT:NAME`). */
function snsUrl(value: unknown, topic: string | undefined): URL | undefined {
  const text = textOf(value)
  if (text === undefined || !URL.canParse(text)) return undefined
  const url = new URL(text)
  const { protocol, hostname, port, username } = url
  const region = SNS_HOST.exec(hostname)?.[1]
  if (region === undefined || region !== topic?.split(':')[3]) return undefined
  return protocol === 'https:' && port === '' && username === '' ? url : undefined
}

/** The events of a notification. SES publishes one event a message, about one or more recipients. */
function eventsOf(notification: Json): EventBatch {
  let event: Json
  try {
    event = objectOf(parseJson(textOf(notification['Message']) ?? ''))
  } catch {
    // The topic also has messages of others, such as the one that tests it.
    return { reports: [], ignored: 1 }
  }
  const mail = objectOf(event['mail'])
  const common = {
    messageId: textOf(objectOf(mail['commonHeaders'])['messageId']),
    providerId: textOf(mail['messageId']),
    source: 'ses',
  }
  const reports = reportsOf(event, common)
  return { reports, ignored: reports.length === 0 ? 1 : 0 }
}

type Common = { messageId: string | undefined; providerId: string | undefined; source: string }

function reportsOf(event: Json, common: Common): RecipientDeliveryReport[] {
  switch (event['eventType'] ?? event['notificationType']) {
    case 'Delivery': {
      const { recipients, timestamp, smtpResponse } = objectOf(event['delivery'])
      return listOf(recipients).map((recipient) =>
        reportOf({
          ...common,
          recipient: textOf(recipient),
          state: 'delivered',
          at: timestamp,
          detail: textOf(smtpResponse),
        }),
      )
    }
    case 'DeliveryDelay': {
      const { delayedRecipients, timestamp } = objectOf(event['deliveryDelay'])
      return listOf(delayedRecipients).map((entry) =>
        reportOf({ ...common, ...answerOf(entry), state: 'delayed', at: timestamp }),
      )
    }
    case 'Bounce': {
      const { bouncedRecipients, timestamp, bounceType, bounceSubType } = objectOf(event['bounce'])
      const permanent = bounceType === 'Permanent'
      return listOf(bouncedRecipients).map((entry) => {
        const answer = answerOf(entry)
        const category =
          CATEGORIES.get(textOf(bounceSubType) ?? '') ??
          (permanent && answer.detail === undefined ? 'mailbox' : undefined)
        return reportOf({ ...common, ...answer, state: 'bounced', at: timestamp, permanent, category })
      })
    }
    case 'Complaint': {
      const { complainedRecipients, timestamp, complaintFeedbackType } = objectOf(event['complaint'])
      if (complaintFeedbackType === 'not-spam') return []
      return listOf(complainedRecipients).map((entry) =>
        reportOf({ ...common, ...answerOf(entry), state: 'complained', at: timestamp }),
      )
    }
    default:
      return []
  }
}

function answerOf(entry: unknown): { recipient: string | undefined; enhanced?: string; detail?: string } {
  const { emailAddress, status, diagnosticCode } = objectOf(entry)
  const [enhanced, detail] = [textOf(status), textOf(diagnosticCode)]
  return {
    recipient: textOf(emailAddress)?.replace(/^.*<([^<>]*)>$/, '$1'),
    ...(enhanced === undefined ? {} : { enhanced }),
    ...(detail === undefined ? {} : { detail }),
  }
}

const CATEGORIES: ReadonlyMap<string, RecipientDeliveryReport['category']> = new Map([
  ['NoEmail', 'mailbox'],
  ['Suppressed', 'mailbox'],
  ['OnAccountSuppressionList', 'mailbox'],
  ['MailboxFull', 'full'],
  ['MessageTooLarge', 'size'],
  ['ContentRejected', 'content'],
  ['AttachmentRejected', 'content'],
])
