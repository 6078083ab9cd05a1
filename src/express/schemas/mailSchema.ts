import { z } from 'zod'
import type { Attachment, Receipt as ReceiptType } from '../../index.js'
import {
  CALENDAR_METHODS,
  MAIL_FIELDS,
  type MailField,
  type MailFieldType,
} from '../../message/mailFields.js'
import { named } from './messageSchema.js'

/**
 * The schema of a mail, for the OpenAPI document only. The mailer itself validates every field, in its own order and with its
 * own error codes.
 */

const Address = named(
  'Address',
  z.union([
    z.string(),
    z.strictObject({ name: z.string().optional(), address: z.string().describe('`ada@example.com`') }),
  ]),
  'One mailbox, never a list: `ada@example.com`, `Ada <ada@example.com>` or `{ name, address }`.',
)

const Addresses = z.union([Address, z.array(Address)])

const Attachment = named(
  'Attachment',
  z.strictObject({
    filename: z.string().max(255).optional().describe('File name shown to the recipient.'),
    content: z.string().optional().describe('Text, or bytes as base64; see `encoding`.'),
    path: z
      .string()
      .optional()
      .describe('A file in the folder `attachmentRoot` of the mailer, in place of `content`.'),
    encoding: z.enum(['utf8', 'base64']).optional().describe('Encoding of `content`; `utf8` by default.'),
    contentType: z.string().optional().describe('MIME type; by default derived from the file name.'),
    cid: z.string().optional().describe('Content-ID, by which the HTML refers to the file as `cid:…`.'),
  } satisfies Record<keyof Attachment, z.ZodType>),
  'Over HTTP, bytes are sent as base64.',
)

const Data = z.record(z.string(), z.unknown())
const Time = z.union([z.string(), z.number()])

const TYPES: Record<MailFieldType, (field: MailField) => z.ZodType> = {
  string: ({ max }) => (max === undefined ? z.string() : z.string().max(max)),
  strings: ({ max = Infinity, maxEntry = Infinity }) => z.array(z.string().max(maxEntry)).max(max),
  oneOrMoreStrings: () => z.union([z.string(), z.array(z.string())]),
  address: () => Address,
  addresses: () => Addresses,
  attachments: () => z.array(Attachment),
  boolean: () => z.boolean(),
  calendar: () =>
    z.strictObject({
      content: z.string().describe('An iCalendar object (RFC 5545).'),
      method: z
        .enum(CALENDAR_METHODS)
        .optional()
        .describe('By default, the METHOD in the content, or `REQUEST`.'),
      filename: z.string().max(255).optional().describe('`invite.ics` by default.'),
    }),
  envelope: () =>
    z.strictObject({
      from: z.string().optional(),
      to: Addresses.optional().describe('Recipients. Only with `raw`, which requires them.'),
    }),
  headers: () => z.record(z.string(), z.union([z.string(), z.array(z.string())])),
  listUnsubscribe: () =>
    z.union([
      z.literal(true),
      z.string(),
      z.strictObject({
        url: z.string().optional(),
        mailto: z.string().optional().describe('An address, optionally with `?subject=…`.'),
        oneClick: z.boolean().optional(),
      }),
    ]),
  number: ({ max }) => (max === undefined ? z.number().min(0) : z.number().int().min(0).max(max)),
  object: () => Data,
  onUncertain: () => z.enum(['retry', 'hold']),
  raw: () => z.union([z.string(), z.strictObject({ base64: z.string() })]),
  time: () => Time,
}

function schemaOf(field: MailField): z.ZodType {
  const schema = TYPES[field.type](field).optional()
  return field.description === undefined ? schema : schema.describe(field.description)
}

export const Mail = named(
  'Mail',
  z.strictObject(
    Object.fromEntries(Object.entries(MAIL_FIELDS).map(([name, field]) => [name, schemaOf(field)])) as Record<
      keyof typeof MAIL_FIELDS,
      z.ZodType
    >,
  ),
)

export const Receipt = named(
  'Receipt',
  z.object({
    id: z.string().describe('Lowercase UUIDv7.'),
    messageId: z.string().describe('Value of the Message-ID header, with its angle brackets.'),
    status: z.literal('queued'),
    durable: z.boolean().describe('Whether the message survives the end of the process.'),
    duplicate: z
      .boolean()
      .describe('Whether an earlier request with the same key already queued the message.'),
  }) satisfies z.ZodType<ReceiptType>,
  'The response to sending, once the queue has stored the message.',
)
