import { CALENDAR_METHODS } from '../protocol/tasks.js'
import type { Mail } from './mail.js'

export { CALENDAR_METHODS }

/** The JSON type of a field over HTTP. */
export type MailFieldType =
  | 'string'
  | 'strings'
  | 'address'
  | 'addresses'
  | 'attachments'
  | 'boolean'
  | 'calendar'
  | 'envelope'
  | 'headers'
  | 'listUnsubscribe'
  | 'number'
  | 'object'
  | 'oneOrMoreStrings'
  | 'onUncertain'
  | 'raw'
  | 'time'

export interface MailField {
  type: MailFieldType
  /** For the OpenAPI document. */
  description?: string
  /** Characters of a string, entries of a list, or the highest number. */
  max?: number
  /** Characters of each entry of a list of strings. */
  maxEntry?: number
}

/**
 * Every field of a mail, once: the validator takes its keys and limits from here, and the HTTP API its schema. `satisfies`
 * makes the table complete: a field that {@link Mail} declares and this table lacks, or the reverse, does not compile.
 */
export const MAIL_FIELDS = {
  template: {
    type: 'string',
    description: 'Name of a template. Alternatives: `mjml`, or `html` and `text`.',
  },
  data: { type: 'object', description: 'Data for the placeholders of the template or of `mjml`.' },
  locale: {
    type: 'string',
    description: "Language tag: `fr-CA` selects the template's `fr-CA`, `fr` or default variant.",
  },
  mjml: { type: 'string', description: 'An MJML source, with placeholders like a template.' },
  untrusted: {
    type: 'boolean',
    description:
      'Whether `mjml` sees no `@app`, no helpers of the application, and no partials or includes. Always true for a token without the scope `templates`.',
  },
  html: { type: 'string', description: 'HTML that is sent unchanged.' },
  text: { type: 'string', description: 'Plain text that is sent unchanged.' },
  raw: {
    type: 'raw',
    description:
      'A finished message (RFC 5322) that is sent unchanged, as text or as `{ base64 }`. Requires `envelope`, and excludes every field that would become part of a message.',
  },
  to: {
    type: 'addresses',
    description: 'Recipients. At least one in `to`, `cc` or `bcc` is required.',
  },
  cc: { type: 'addresses', description: 'Recipients of a copy.' },
  bcc: { type: 'addresses', description: 'Recipients of a copy that are hidden from all other recipients.' },
  replyTo: { type: 'addresses', description: 'Addresses that replies go to.' },
  from: { type: 'address', description: "The sender. By default, the mailer's `from`." },
  sender: { type: 'address', description: 'The mailbox that submitted the mail, if it is not an author.' },
  subject: {
    type: 'string',
    max: 998,
    description: 'The subject. Required if the content has no `<mj-title>`.',
  },
  messageId: { type: 'string', description: 'A Message-ID of your own, with angle brackets.' },
  inReplyTo: { type: 'string', description: 'Message-ID of the mail that this mail replies to.' },
  references: {
    type: 'oneOrMoreStrings',
    description: 'Message-IDs of the conversation that this mail belongs to.',
  },
  headers: {
    type: 'headers',
    description:
      'Additional headers: `X-*` and a list of harmless ones. Each value of an array becomes one header line.',
  },
  listUnsubscribe: {
    type: 'listUnsubscribe',
    description:
      'List-Unsubscribe (RFC 2369). `oneClick` (the default) adds the header of RFC 8058 if the URL is https. `true` adds a signed link, for a mail to one recipient.',
  },
  attachments: { type: 'attachments', description: 'Attached files.' },
  calendar: {
    type: 'calendar',
    description: 'An invitation, or another calendar object (RFC 5546, RFC 6047).',
  },
  envelope: {
    type: 'envelope',
    description: 'The address that bounces go to, empty for none; with `raw`, also the recipients.',
  },
  stream: {
    type: 'string',
    description:
      'The kind of mail, such as `newsletter`: a recipient who unsubscribes from one still gets the others. `transactional` by default.',
  },
  transport: { type: 'string', description: 'Name of a transport. By default, the first one.' },
  group: {
    type: 'string',
    max: 128,
    description: 'At equal priority, groups take turns, so that one group does not delay another.',
  },
  priority: {
    type: 'number',
    max: 9,
    description: 'Messages with a higher priority are sent first. 5 by default.',
  },
  delay: { type: 'number', description: 'Milliseconds to wait before the first attempt.' },
  sendAt: {
    type: 'time',
    description:
      'Time of the first attempt, in place of `delay`: ISO 8601 with a time zone, or milliseconds since the epoch.',
  },
  expiresAt: {
    type: 'time',
    description:
      'Time after which the mail is no longer sent: ISO 8601 with a time zone, or milliseconds since the epoch.',
  },
  idempotencyKey: {
    type: 'string',
    max: 256,
    description:
      'Mails with the same key become one message. The `Idempotency-Key` header can be used instead.',
  },
  tags: { type: 'strings', max: 20, maxEntry: 64, description: 'Words to search messages by.' },
  metadata: {
    type: 'object',
    description: 'Any data of your own, stored with the message; at most 16 KB of JSON.',
  },
  onUncertain: {
    type: 'onUncertain',
    description: 'Whether to retry or hold the mail if it may or may not have been sent.',
  },
} as const satisfies Record<keyof Mail, MailField>

/** Fields that say how a message is delivered, and are no part of it. */
export const DELIVERY_FIELDS = [
  'stream',
  'transport',
  'delay',
  'sendAt',
  'expiresAt',
  'idempotencyKey',
  'tags',
  'metadata',
  'onUncertain',
] as const satisfies readonly (keyof Mail)[]
