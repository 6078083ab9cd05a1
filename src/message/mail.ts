import type { CalendarMethod, JsonObject } from '../protocol/tasks.js'
import type { TemplateData, TemplateLocale, TemplateName } from './templateTypes.js'

/** One mailbox, never a list: `ada@example.com`, `Ada <ada@example.com>` or `{ name, address }`. */
export type Address = string | { name?: string; address: string }

/** A file attached to a mail, or an image shown inside its HTML. */
export interface Attachment {
  /** File name shown to the recipient, at most 255 characters. @default none */
  filename?: string
  /**
   * The content: text, bytes, or a stream, which `send()` reads up to `limits.message`.
   * @default none; `content` or `path` is required
   */
  content?: string | Uint8Array | AsyncIterable<Uint8Array | string>
  /**
   * A file in place of `content`, relative to the option `attachmentRoot`. It is read when the mail is accepted.
   * @default none
   */
  path?: string
  /** Encoding of a string in `content`. @default 'utf8' */
  encoding?: 'utf8' | 'base64'
  /** MIME type; `message/rfc822` for an attached mail. @default derived from the file name */
  contentType?: string
  /** Content-ID, by which the HTML refers to the file as `cid:…`. @default none */
  cid?: string
}

/** A calendar object (RFC 5545), such as an invitation. */
export interface Calendar {
  /** The iCalendar object, as text or bytes in UTF-8. */
  content: string | Uint8Array
  /** The method (RFC 5546). It must be the METHOD in the content, which is added if it is missing. @default the METHOD in the content, or 'REQUEST' */
  method?: CalendarMethod
  /** File name of the attached copy. @default 'invite.ics' */
  filename?: string
}

interface MailFields extends DeliveryFields {
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
  /** The mailbox that submitted the mail, if it is not an author: the Sender header. @default none */
  sender?: Address
  /** The subject. @default the template's subject; required if it has none */
  subject?: string
  /** A Message-ID of your own, with angle brackets. It must be globally unique. @default generated from the message's id */
  messageId?: string
  /** Message-ID of the mail that this mail replies to. @default none */
  inReplyTo?: string
  /** Message-IDs of the conversation that this mail belongs to. @default none */
  references?: string | string[]
  /**
   * Additional headers: `X-*` and a list of harmless ones. Each value of an array becomes one header line. A value that can't
   * be written in lines of at most 998 octets is refused.
   * @default none
   * @example headers: { 'X-Order': '42' }
   */
  headers?: Record<string, string | string[]>
  /**
   * How to unsubscribe (RFC 2369); a string is an http(s) URL, or `mailto:` with an address. `oneClick` (default true) adds the header of RFC 8058 if the URL is https. `mailto` is an
   * address, optionally with `?subject=…`. `true` adds a signed link for the recipient and the mail's `stream`, which needs the
   * option `unsubscribe`; such a mail has one recipient.
   * @default none
   * @example listUnsubscribe: 'https://acme.example/unsubscribe/42'
   */
  listUnsubscribe?: true | string | { url?: string; mailto?: string; oneClick?: boolean }
  /**
   * Attached files.
   * @default none
   * @example attachments: [{ filename: 'receipt.pdf', content: pdf }]
   */
  attachments?: Attachment[]
  /**
   * An invitation, or another calendar object: sent as the last alternative and as a file, which Outlook, Gmail, and Apple Mail
   * show as an invitation (RFC 6047).
   * @default none
   * @example calendar: { content: ics, method: 'REQUEST' }
   */
  calendar?: Calendar
  /** The SMTP envelope, where it differs from the headers. */
  envelope?: {
    /** The reverse-path: the address that bounces go to. With `''`, no server returns bounces. @default the address in `from` */
    from?: string
  }
}

/** The fields that say how a mail is delivered, and nothing about its content: a finished message may have these. */
interface DeliveryFields {
  /**
   * The kind of mail, and the scope of suppressions and unsubscribes: a recipient who unsubscribes from `newsletter` still gets
   * `transactional`. At most 64 letters, digits, and `. _ -`.
   * @default 'transactional'
   * @example stream: 'newsletter'
   */
  stream?: string
  /** Name of the transport. @default the first transport */
  transport?: string
  /** 0 to 9; messages with a higher priority are sent first. @default 5 */
  priority?: number
  /**
   * A group, such as a tenant: at equal priority, groups take turns, so that one group's many messages don't delay another's. At
   * most 128 characters. @default none; all messages without a group take turns as one
   */
  group?: string
  /** Milliseconds to wait before the first attempt. @default 0 */
  delay?: number
  /**
   * Time of the first attempt, in place of `delay`: a Date, ISO 8601 text with a time zone, or milliseconds since the
   * epoch.
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
  untrusted?: never
  html?: never
  text?: never
  raw?: never
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
  /**
   * Whether the source was written by somebody whom you don't trust with your templates: it then sees no `@app`, no helpers of the
   * application, and no partials or includes. Over HTTP, it is always true for a token without the scope `templates`.
   * @default false
   */
  untrusted?: boolean
  /** The data for the placeholders of `template` or `mjml`. @default none */
  data?: object
  template?: never
  locale?: never
  html?: never
  text?: never
  raw?: never
}

interface Literal extends MailFields {
  /** HTML that is sent unchanged. @default none */
  html?: string
  /** Plain text that is sent unchanged. @default none */
  text?: string
  template?: never
  mjml?: never
  untrusted?: never
  data?: never
  locale?: never
  raw?: never
}

/** A mail whose HTML and text are sent unchanged. At least one of them is required. */
export type LiteralMail = Literal & ({ html: string } | { text: string })

/**
 * A finished message (RFC 5322), sent unchanged but for line endings, which become CRLF, and for a DKIM signature that its transport
 * adds. It must not have a Bcc field: nothing is removed from it. `send()` refuses it together with a field that would become part of
 * a message.
 */
export interface RawMail extends Omit<MailFields, 'envelope'> {
  /**
   * A finished message (RFC 5322), as bytes, or as text that is sent in UTF-8. It goes unchanged to the recipients of `envelope.to`,
   * over SMTP, Amazon SES, or Mailgun, and excludes every field that would become part of a message.
   * @default none
   * @example raw: eml, envelope: { from: 'bounces@acme.example', to: 'ada@example.com' }
   */
  raw: string | Uint8Array
  envelope: {
    /** The reverse-path; `''` for none. */
    from: string
    to: Address | Address[]
  }
  template?: never
  data?: never
  locale?: never
  mjml?: never
  untrusted?: never
  html?: never
  text?: never
}

export type Mail = TemplateMail | MjmlMail | LiteralMail | RawMail

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
