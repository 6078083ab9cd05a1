import type { Mailbox, MessagePayload } from '../../src/protocol/tasks.js'
import { unsubscribeFields } from '../../src/protocol/unsubscribeFields.js'
import { headerValue, mailbox } from '../compose/headerFields.js'
import type { OutgoingMail } from './transport.js'

/** A file as mail services take it: base64. A calendar object is one, too. */
export interface ApiAttachment {
  filename: string
  content: string
  contentType: string
  /** Set if the HTML shows it. */
  cid?: string
}

export function attachmentsOf({ attachments }: MessagePayload): ApiAttachment[] {
  return attachments.map(({ filename, content, contentType, cid, calendar }, index) => ({
    filename: filename ?? (calendar === undefined ? `attachment-${index + 1}` : 'invite.ics'),
    content: Buffer.from(content as string).toString('base64'),
    contentType:
      calendar === undefined
        ? (contentType ?? 'application/octet-stream')
        : `text/calendar; charset=utf-8; method=${calendar}`,
    ...(cid === undefined ? {} : { cid }),
  }))
}

/** The fields that a service has no parameter for. The Message-ID is the same in every attempt. */
export function headersOf({ payload }: OutgoingMail): [name: string, value: string][] {
  const { sender, inReplyTo, references } = payload
  return [
    ['Message-ID', payload.messageId],
    ...(sender === undefined ? [] : [['Sender', mailbox(sender)] as [string, string]]),
    ...(inReplyTo === undefined ? [] : [['In-Reply-To', inReplyTo] as [string, string]]),
    ...(references.length === 0 ? [] : [['References', references.join(' ')] as [string, string]]),
    ...payload.headers.map(([name, value]): [string, string] => [name, headerValue(name, value)]),
    ...unsubscribeFields(payload.listUnsubscribe),
  ]
}

/** The same as an object: several values of one name become a list. */
export function headerObject(mail: OutgoingMail): Record<string, string> {
  const byName = new Map<string, [string, string]>()
  for (const [name, value] of headersOf(mail)) {
    const [first, values] = byName.get(name.toLowerCase()) ?? [name, '']
    byName.set(name.toLowerCase(), [first, values === '' ? value : `${values}, ${value}`])
  }
  return Object.fromEntries(byName.values())
}

export function subjectOf({ payload, parts }: OutgoingMail): string {
  return payload.subject ?? parts.subject
}

/** `Ada <ada@example.com>`, with the name as it is: the service encodes it. */
export function person({ name, address }: Mailbox): string {
  if (name === undefined || name === '') return address
  return `"${name.replace(/[\\"]/g, '\\$&')}" <${address}>`
}

/** The form of a person that some services take as an object. */
export function personObject({ name, address }: Mailbox): { email: string; name?: string } {
  return name === undefined || name === '' ? { email: address } : { email: address, name }
}

/** The list or text, or undefined if it is empty: JSON has no field for that. */
export function filled<Value extends { length: number }>(value: Value): Value | undefined {
  return value.length === 0 ? undefined : value
}

/** Metadata as texts: services take no nested values. */
export function metadataOf({ metadata = {} }: MessagePayload): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]),
  )
}

export function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}

/** Fields of a parsed response, whatever it is. */
export function fieldsOf(body: unknown): Record<string, unknown> {
  return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {}
}

/** The first of the values that is a text. */
export function firstText(...values: unknown[]): string {
  return values.find((value): value is string => typeof value === 'string' && value !== '') ?? ''
}
