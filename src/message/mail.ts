import type { Templates } from '../index.js'
import type { JsonObject } from '../protocol/tasks.js'

/** `ada@example.com`, `Ada <ada@example.com>` or its parts. Exactly one mailbox, never a list. */
export type Address = string | { name?: string; address: string }

export interface Attachment {
  /** The name the recipient sees, at most 255 characters. @default none */
  filename?: string
  /** Text, or bytes. */
  content: string | Uint8Array
  /** How a string in `content` is encoded. @default 'utf8' */
  encoding?: 'utf8' | 'base64'
  /** MIME type. @default from the file name */
  contentType?: string
  /** Content-ID, to show it inside the HTML as `cid:…`. @default none */
  cid?: string
}

interface MailFields {
  /**
   * Who gets it: one address, or an array of them. A string is never split.
   * @default none; one of `to`, `cc` and `bcc` is required
   * @example to: { name: 'Ada', address: 'ada@example.com' }
   */
  to?: Address | Address[]
  /** Who gets a copy. @default none */
  cc?: Address | Address[]
  /** Who gets a copy that nobody else sees. @default none */
  bcc?: Address | Address[]
  /** Where answers go. @default to `from` */
  replyTo?: Address | Address[]
  /** The sender. @default the mailer's `from` */
  from?: Address
  /** The subject. @default the template's own; required where there is none */
  subject?: string
  /** A Message-ID of your own, with its angle brackets; nobody else may ever have had it. @default made from the id */
  messageId?: string
  /** Message-ID of the mail it answers. @default none */
  inReplyTo?: string
  /** Message-IDs of the thread it belongs to. @default none */
  references?: string | string[]
  /**
   * Further headers: `X-*` and a list of harmless ones. Of an array each value is a line.
   * @default none
   * @example headers: { 'X-Order': '42' }
   */
  headers?: Record<string, string | string[]>
  /**
   * Where to unsubscribe (RFC 2369); `oneClick` (default true) adds RFC 8058's header to an https URL. `mailto` is an address,
   * perhaps with `?subject=…`.
   * @default none
   * @example listUnsubscribe: 'https://acme.example/unsubscribe/42'
   */
  listUnsubscribe?: string | { url?: string; mailto?: string; oneClick?: boolean }
  /**
   * Files that come with it.
   * @default none
   * @example attachments: [{ filename: 'receipt.pdf', content: pdf }]
   */
  attachments?: Attachment[]
  /** What the mail servers are told, where it differs from the headers. */
  envelope?: {
    /** The reverse-path: where bounces go. @default the address of `from` */
    from?: string
  }
  /** Name of the transport. @default the first one */
  transport?: string
  /** 0 to 9; higher goes first. @default 5 */
  priority?: number
  /** Milliseconds to wait before the first attempt. @default 0 */
  delay?: number
  /**
   * When to make the first attempt, in place of `delay`.
   * @default at once
   * @example sendAt: '2026-12-24T08:00:00Z'
   */
  sendAt?: Date | string | number
  /** When it is too late to send. @default after the mailer's `maxAge` */
  expiresAt?: Date | string | number
  /** Two sends with the same key are one message. At most 256 characters. @default none */
  idempotencyKey?: string
  /** Words to find it by. @default none */
  tags?: string[]
  /** Yours; at most 16 KB of JSON. @default none */
  metadata?: JsonObject
  /** What to do when it may or may not have been sent. @default the mailer's `onUncertain` */
  onUncertain?: 'retry' | 'hold'
}

/** Any string, until `threadpost types` has told which templates there are. */
export type TemplateName = [keyof Templates] extends [never] ? string : keyof Templates

/** The data of a template; any object, until `threadpost types` has told more. */
export type TemplateData<Name extends TemplateName = TemplateName> = Name extends keyof Templates
  ? Templates[Name] extends { data: infer Data }
    ? Data
    : object
  : object

interface Templated<Name extends TemplateName> extends MailFields {
  /**
   * Name of a template of the folder.
   * @default none; one of `template`, `mjml`, `html` and `text` is required
   * @example template: 'welcome', data: { name: 'Ada' }
   */
  template: Name
  /** `fr-CA` takes the template's `fr-CA`, `fr` or default variant. @default the language of the request, else the default variant */
  locale?: string
  mjml?: never
  html?: never
  text?: never
}

/** A mail from a template of the folder. Where nothing is required of the data it may be left out. */
export type TemplateMail<Name extends TemplateName = TemplateName> = Name extends TemplateName
  ? Templated<Name> &
      (Partial<TemplateData<Name>> extends TemplateData<Name>
        ? { data?: TemplateData<Name> }
        : { data: TemplateData<Name> })
  : never

/** A mail from an MJML source of one's own, bound like a template. */
export interface MjmlMail extends MailFields {
  /** An MJML source of your own, bound like a template. @default none */
  mjml: string
  /** What `template` or `mjml` is bound to. @default none */
  data?: object
  template?: never
  locale?: never
  html?: never
  text?: never
}

/** A mail whose parts are sent as they are. */
export interface LiteralMail extends MailFields {
  /** HTML that is sent as it is. @default none */
  html?: string
  /** Plain text that is sent as it is. @default none */
  text?: string
  template?: never
  mjml?: never
  data?: never
  locale?: never
}

export type Mail = TemplateMail | MjmlMail | LiteralMail

/**
 * A mail with its identity, as `prepare()` gives it: plain JSON. Keep it in a transaction of your own database and
 * `send()` it later; sent twice it is still one message.
 */
export interface PreparedMail {
  prepared: 1
  id: string
  messageId: string
  /** ISO 8601. */
  date: string
  /** Of the request it was prepared in. */
  context?: JsonObject
  mail: JsonObject
}

/** What `send()` answers once the queue has the message. */
export interface Receipt {
  /** Lowercase UUIDv7. */
  id: string
  /** Value of the Message-ID header, with its angle brackets. */
  messageId: string
  status: 'queued'
  /** Whether the message outlives this process. */
  durable: boolean
  /** Whether an earlier send with the same key, or of the same prepared mail, had it queued already. */
  duplicate: boolean
}
