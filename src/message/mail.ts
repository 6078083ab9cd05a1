import type { JsonObject } from '../protocol/tasks.js'
import type { TemplateData, TemplateLocale, TemplateName } from './templateTypes.js'

/** One mailbox, never a list: `ada@example.com`, `Ada <ada@example.com>` or `{ name, address }`. */
export type Address = string | { name?: string; address: string }

/** A file attached to a mail, or an image shown inside its HTML. */
export interface Attachment {
  /** File name shown to the recipient, at most 255 characters. @default none */
  filename?: string
  /** The content, as text or bytes. */
  content: string | Uint8Array
  /** Encoding of a string in `content`. @default 'utf8' */
  encoding?: 'utf8' | 'base64'
  /** MIME type. @default derived from the file name */
  contentType?: string
  /** Content-ID, by which the HTML refers to the file as `cid:…`. @default none */
  cid?: string
}

interface MailFields {
  /**
   * Recipients: one address, or an array of addresses. A string is never split.
   * @default none; at least one recipient in `to`, `cc` or `bcc` is required
   * @example to: { name: 'Ada', address: 'ada@example.com' }
   */
  to?: Address | Address[]
  /** Recipients of a copy. @default none */
  cc?: Address | Address[]
  /** Recipients of a copy that are hidden from all other recipients. @default none */
  bcc?: Address | Address[]
  /** Addresses that replies go to. @default the address in `from` */
  replyTo?: Address | Address[]
  /** The sender. @default the mailer's `from` */
  from?: Address
  /** The subject. @default the template's subject; required if it has none */
  subject?: string
  /** A Message-ID of your own, with angle brackets. It must be globally unique. @default generated from the message's id */
  messageId?: string
  /** Message-ID of the mail that this mail replies to. @default none */
  inReplyTo?: string
  /** Message-IDs of the conversation that this mail belongs to. @default none */
  references?: string | string[]
  /**
   * Additional headers: `X-*` and a list of harmless ones. Each value of an array becomes one header line.
   * @default none
   * @example headers: { 'X-Order': '42' }
   */
  headers?: Record<string, string | string[]>
  /**
   * How to unsubscribe (RFC 2369). `oneClick` (default true) adds the header of RFC 8058 if the URL is https. `mailto` is an
   * address, optionally with `?subject=…`.
   * @default none
   * @example listUnsubscribe: 'https://acme.example/unsubscribe/42'
   */
  listUnsubscribe?: string | { url?: string; mailto?: string; oneClick?: boolean }
  /**
   * Attached files.
   * @default none
   * @example attachments: [{ filename: 'receipt.pdf', content: pdf }]
   */
  attachments?: Attachment[]
  /** The SMTP envelope, where it differs from the headers. */
  envelope?: {
    /** The reverse-path: the address that bounces go to. @default the address in `from` */
    from?: string
  }
  /** Name of the transport. @default the first transport */
  transport?: string
  /** 0 to 9; messages with a higher priority are sent first. @default 5 */
  priority?: number
  /** Milliseconds to wait before the first attempt. @default 0 */
  delay?: number
  /**
   * Time of the first attempt, in place of `delay`: a Date, ISO 8601 text, or milliseconds since the epoch.
   * @default immediately
   * @example sendAt: '2026-12-24T08:00:00Z'
   */
  sendAt?: Date | string | number
  /** Time after which the mail is no longer sent. @default when the mailer's `maxAge` has passed */
  expiresAt?: Date | string | number
  /** Mails with the same key become one message. At most 256 characters. @default none */
  idempotencyKey?: string
  /** Words to search messages by: at most 20, of at most 64 characters each. @default none */
  tags?: string[]
  /** Any data of your own, stored with the message; at most 16 KB of JSON. @default none */
  metadata?: JsonObject
  /** Whether to retry or hold the mail if it may or may not have been sent. @default the mailer's `onUncertain` */
  onUncertain?: 'retry' | 'hold'
}

interface Templated<Name extends TemplateName> extends MailFields {
  /**
   * Name of a template in the template folder.
   * @default none; one of `template`, `mjml`, `html` and `text` is required
   * @example template: 'welcome', data: { name: 'Ada' }
   */
  template: Name
  /**
   * Language tag: `fr-CA` selects the template's `fr-CA`, `fr` or default variant.
   * @default the language of the request, else the default variant
   */
  locale?: TemplateLocale
  mjml?: never
  html?: never
  text?: never
}

/** A mail from a template in the template folder. `data` is optional if the template requires none. */
export type TemplateMail<Name extends TemplateName = TemplateName> = Name extends TemplateName
  ? Templated<Name> &
      (Partial<TemplateData<Name>> extends TemplateData<Name>
        ? { data?: TemplateData<Name> }
        : { data: TemplateData<Name> })
  : never

/** A mail from an MJML source of your own, with placeholders like a template. */
export interface MjmlMail extends MailFields {
  /** An MJML source of your own, with placeholders like a template. @default none */
  mjml: string
  /** The data for the placeholders of `template` or `mjml`. @default none */
  data?: object
  template?: never
  locale?: never
  html?: never
  text?: never
}

interface Literal extends MailFields {
  /** HTML that is sent unchanged. @default none */
  html?: string
  /** Plain text that is sent unchanged. @default none */
  text?: string
  template?: never
  mjml?: never
  data?: never
  locale?: never
}

/** A mail whose HTML and text are sent unchanged. At least one of them is required. */
export type LiteralMail = Literal & ({ html: string } | { text: string })

export type Mail = TemplateMail | MjmlMail | LiteralMail

/**
 * A mail with its identity, as returned by `prepare()`: plain JSON. Store it in a transaction of your own database and
 * `send()` it later. Sending it twice still results in one message.
 */
export interface PreparedMail {
  prepared: 1
  id: string
  messageId: string
  /** ISO 8601. */
  date: string
  /** Context of the request that prepared the mail. */
  context?: JsonObject
  mail: JsonObject
}

/** The result of `send()`, once the queue has stored the message. */
export interface Receipt {
  /** Lowercase UUIDv7. */
  id: string
  /** Value of the Message-ID header, with its angle brackets. */
  messageId: string
  status: 'queued'
  /** Whether the message survives the end of this process. */
  durable: boolean
  /** Whether an earlier `send()` with the same key, or of the same prepared mail, already queued the message. */
  duplicate: boolean
}

/** The JSON type of a field over HTTP. */
export type MailFieldType =
  | 'string'
  | 'strings'
  | 'address'
  | 'addresses'
  | 'attachments'
  | 'envelope'
  | 'headers'
  | 'listUnsubscribe'
  | 'number'
  | 'object'
  | 'oneOrMoreStrings'
  | 'onUncertain'
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
  html: { type: 'string', description: 'HTML that is sent unchanged.' },
  text: { type: 'string', description: 'Plain text that is sent unchanged.' },
  to: {
    type: 'addresses',
    description: 'Recipients. At least one in `to`, `cc` or `bcc` is required.',
  },
  cc: { type: 'addresses', description: 'Recipients of a copy.' },
  bcc: { type: 'addresses', description: 'Recipients of a copy that are hidden from all other recipients.' },
  replyTo: { type: 'addresses', description: 'Addresses that replies go to.' },
  from: { type: 'address', description: "The sender. By default, the mailer's `from`." },
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
      'List-Unsubscribe (RFC 2369). `oneClick` (the default) adds the header of RFC 8058 if the URL is https.',
  },
  attachments: { type: 'attachments', description: 'Attached files.' },
  envelope: { type: 'envelope', description: 'The address that bounces go to.' },
  transport: { type: 'string', description: 'Name of a transport. By default, the first one.' },
  priority: {
    type: 'number',
    max: 9,
    description: 'Messages with a higher priority are sent first. 5 by default.',
  },
  delay: { type: 'number', description: 'Milliseconds to wait before the first attempt.' },
  sendAt: {
    type: 'time',
    description: 'Time of the first attempt, in place of `delay`: ISO 8601, or milliseconds since the epoch.',
  },
  expiresAt: {
    type: 'time',
    description: 'Time after which the mail is no longer sent: ISO 8601, or milliseconds since the epoch.',
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
