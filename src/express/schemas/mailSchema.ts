import { z } from 'zod'
import type { Attachment, Mail as MailType, Receipt as ReceiptType } from '../../index.js'
import { named } from './messageSchema.js'

/**
 * What the mailer takes, for the document. The mailer itself is the authority: it checks every field, in its own order
 * and with its own codes.
 */

const Address = named(
  'Address',
  z.union([
    z.string(),
    z.strictObject({ name: z.string().optional(), address: z.string().describe('`ada@example.com`') }),
  ]),
  '`ada@example.com`, `Ada <ada@example.com>` or its parts. Exactly one mailbox, never a list in a string.',
)

const Addresses = z.union([Address, z.array(Address)])

const Attachment = named(
  'Attachment',
  z.strictObject({
    filename: z.string().max(255).optional().describe('The name the recipient sees.'),
    content: z.string().describe('Text, or bytes as base64: see `encoding`.'),
    encoding: z.enum(['utf8', 'base64']).optional().describe('How `content` is encoded; `utf8` by default.'),
    contentType: z.string().optional().describe('MIME type; by default from the file name.'),
    cid: z.string().optional().describe('Content-ID, to show it inside the HTML as `cid:…`.'),
  } satisfies Record<keyof Attachment, z.ZodType>),
  'Over HTTP bytes come as base64.',
)

const Data = z.record(z.string(), z.unknown())
const Time = z.union([z.string(), z.number()])

export const Mail = named(
  'Mail',
  z.strictObject({
    template: z.string().optional().describe('Name of a template; or give `mjml`, or `html` and `text`.'),
    data: Data.optional().describe('What a template or `mjml` binds.'),
    locale: z.string().optional().describe("`fr-CA` takes the template's `fr-CA`, `fr` or default variant."),
    mjml: z.string().optional().describe('An MJML source of its own, bound like a template.'),
    html: z.string().optional().describe('Sent as it is.'),
    text: z.string().optional().describe('Sent as it is.'),
    to: Addresses.optional().describe('At least one of `to`, `cc` and `bcc` has a recipient.'),
    cc: Addresses.optional(),
    bcc: Addresses.optional(),
    replyTo: Addresses.optional(),
    from: Address.optional().describe("By default the mailer's."),
    subject: z.string().max(998).optional().describe('Required where the content has no `<mj-title>`.'),
    messageId: z.string().optional().describe("A Message-ID of one's own, with its angle brackets."),
    inReplyTo: z.string().optional(),
    references: z.union([z.string(), z.array(z.string())]).optional(),
    headers: z
      .record(z.string(), z.union([z.string(), z.array(z.string())]))
      .optional()
      .describe('`X-*` and a list of harmless ones; of an array each value is a line.'),
    listUnsubscribe: z
      .union([
        z.string(),
        z.strictObject({
          url: z.string().optional(),
          mailto: z.string().optional().describe('An address, perhaps with `?subject=…`.'),
          oneClick: z.boolean().optional(),
        }),
      ])
      .optional()
      .describe(
        "List-Unsubscribe (RFC 2369); `oneClick` (by default) adds RFC 8058's header to an https URL.",
      ),
    attachments: z.array(Attachment).optional(),
    envelope: z.strictObject({ from: z.string().optional() }).optional().describe('Where bounces go.'),
    transport: z.string().optional().describe('Name of a transport; the first by default.'),
    priority: z.number().int().min(0).max(9).optional().describe('Higher goes first; 5 by default.'),
    delay: z.number().min(0).optional().describe('Milliseconds to wait before the first attempt.'),
    sendAt: Time.optional().describe('In place of `delay`: ISO 8601 or ms since the epoch.'),
    expiresAt: Time.optional().describe('When it is too late to send: ISO 8601 or ms since the epoch.'),
    idempotencyKey: z
      .string()
      .max(256)
      .optional()
      .describe('Two sends with the same key are one message; also the header `Idempotency-Key`.'),
    tags: z.array(z.string().max(64)).max(20).optional(),
    metadata: Data.optional().describe('At most 16 KB of JSON.'),
    onUncertain: z
      .enum(['retry', 'hold'])
      .optional()
      .describe('What to do when it may or may not have been sent.'),
  } satisfies Record<keyof MailType, z.ZodType>),
)

export const Receipt = named(
  'Receipt',
  z.object({
    id: z.string().describe('Lowercase UUIDv7.'),
    messageId: z.string().describe('Value of the Message-ID header, with its angle brackets.'),
    status: z.literal('queued'),
    durable: z.boolean().describe('Whether the message outlives the process.'),
    duplicate: z.boolean().describe('Whether an earlier send with the same key had it queued already.'),
  }) satisfies z.ZodType<ReceiptType>,
  'What sending answers once the queue has the message.',
)
