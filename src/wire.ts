/** What crosses between the main thread and a worker: plain data that structured clone keeps as it is. */
import type { Outcome, SmtpReply, UnreachableCode } from './outcome.js'

/** The file that `threadpost build` writes, and that makes a folder one of compiled templates. */
export const BUILT_FILE = 'threadpost-templates.json'

/** A mailbox (RFC 5322 section 3.4), parsed and checked. */
export interface Mailbox {
  name?: string
  address: string
}

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
export type JsonObject = Record<string, Json>

declare const isJsonText: unique symbol
/**
 * A plain JSON object as text. A mail's data is written once, when it is accepted, and read once, in the thread:
 * whatever carries it between the two copies one string.
 */
export type JsonText = string & { readonly [isJsonText]: true }

/** What a message says: a template of the folder, an ad-hoc MJML source, or literal parts. */
export type Content =
  | { kind: 'template'; name: string; locale?: string; data: JsonText }
  | { kind: 'mjml'; source: string; data: JsonText }
  | { kind: 'literal'; html?: string; text?: string }

export interface JobAttachment {
  filename?: string
  content: string | Uint8Array
  /** Bytes. */
  size: number
  contentType?: string
  cid?: string
}

/** Unsubscribe targets (RFC 2369, and RFC 8058 for the one click). */
export interface ListUnsubscribe {
  url?: string
  mailto?: string
  oneClick: boolean
}

/** The part of a job that a thread needs to build and send the message. */
export interface Letter {
  id: string
  messageId: string
  /** Milliseconds since the epoch; the Date header of every attempt. */
  date: number
  from: Mailbox
  to: Mailbox[]
  cc: Mailbox[]
  bcc: Mailbox[]
  replyTo: Mailbox[]
  /** The reverse-path (RFC 5321 section 4.1.1.2). */
  envelopeFrom: string
  subject?: string
  content: Content
  headers: [name: string, value: string][]
  inReplyTo?: string
  references: string[]
  listUnsubscribe?: ListUnsubscribe
  attachments: JobAttachment[]
  /** Of the request that sent it; templates read it as `@context`. */
  context?: JsonObject
}

export interface DeliverTask {
  letter: Letter
  /** The recipients of this attempt: those of the letter that are not settled yet. */
  recipients: string[]
  transport: string
  /** Which attempt of the message this is, from 1. */
  attempt: number
  /** Place of its notes in the file for them. */
  note?: number
  /** Milliseconds since the epoch: an envelope that isn't sent by then is not sent at all. */
  expiresAt: number
  slot: number
  generation: number
  /** `performance.timeOrigin + performance.now()` when it was handed over, in ms. */
  handedOverAt: number
  /** On `sharedClock()`: made ready as soon as may be, it goes to its transport then. */
  notBefore?: number
}

/** Milliseconds on the one clock that all threads of a process share and nobody sets. */
export function sharedClock(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

export interface RenderTask {
  content: Content
  context?: JsonObject
  slot: number
  generation: number
}

export interface RenderedParts {
  subject: string
  preheader: string
  html: string
  text: string
}

export type RenderResult<T = RenderedParts> =
  { ok: true; parts: T } | { ok: false; outcome: Extract<Outcome, { result: 'rejected' }> }

/** A message built but not sent. */
export interface ComposeTask {
  letter: Letter
  slot: number
  generation: number
}

/** A message's parts, and the bytes it leaves as; a transport may still sign them. */
export interface ComposedParts extends RenderedParts {
  raw: Uint8Array
}

/** What is to be said of a template once it is compiled. */
export interface TemplateNotes {
  /** Why it binds first, so that MJML runs for each message; none if it is compiled once. */
  findings: {
    at: { file: string; line: number; column: number }
    /** The expression as written; may be empty. */
    expression: string
    reason: string
    /** How to write it so that it compiles once. */
    advice: string
  }[]
  /** What MJML dropped or complained of. */
  warnings: string[]
}

/**
 * A path into a message's data: `scope` counts contexts from the root (0), one more for each list or context that a
 * need opens around it.
 */
export interface DataPath {
  scope: number
  parts: string[]
}

/** What a template asks of its data, followed in order. Whatever can't be told beforehand is left to the thread. */
export type Need =
  | { need: 'value'; path: DataPath }
  /** Only if there is something at the path, or nothing. */
  | { need: 'if'; path: DataPath; then: Need[]; otherwise: Need[] }
  /** For every item of a list or object; `optional` where the template says what to do without it. */
  | { need: 'each'; path: DataPath; optional: boolean; items: Need[]; otherwise: Need[] }
  | { need: 'with'; path: DataPath; optional: boolean; inner: Need[]; otherwise: Need[] }

/** What follows for the data from its use: fields of an object, items of a list, or a plain value. */
export interface DataShape {
  optional?: true
  fields?: Record<string, DataShape>
  items?: DataShape
}

/** How mails of a template are sent unless they say otherwise; `@policy` of its sample file. */
export interface TemplatePolicy {
  /** 0 to 9. */
  priority?: number
  /** Milliseconds after acceptance. */
  expiresAfter?: number
  transport?: string
}

/** What a template needs and offers, computed in a thread, held by the main thread. */
export interface TemplateManifest {
  name: string
  locales: string[]
  /** What it speaks besides the default: its variants or, without any, the strings of the `t` helper. */
  languages: string[]
  hasSubject: boolean
  /** What every variant needs together. */
  needs: Need[]
  shape: DataShape
  policy?: TemplatePolicy
  /** Sample data for previews, where its file holds some. */
  sample?: JsonObject
  /** Hash of its sources and of the shared parts beside it; the same wherever the same files are. */
  version?: string
  /** Why it can't be read; mails of it fail. */
  error?: string
}

export interface Catalogue {
  templates: TemplateManifest[]
}

export interface TlsOptions {
  /** Refuse a certificate that isn't valid for the host. @default true */
  rejectUnauthorized?: boolean
  /** PEM of the certificate authorities to trust. @default the built-in ones */
  ca?: string | string[]
  /** Name to check the certificate against. @default the host */
  servername?: string
  /** The oldest protocol to speak: 'TLSv1.2' or 'TLSv1.3'. @default 'TLSv1.2' */
  minVersion?: 'TLSv1.2' | 'TLSv1.3'
}

/** What gives access tokens for XOAUTH2. */
export interface OAuth2 {
  /** A token at hand; without a refresh token it is used as long as it is accepted. @default none */
  accessToken?: string
  /** What fetches new tokens, together with the client's id and secret. @default none */
  refreshToken?: string
  /** The client's id. @default none */
  clientId?: string
  /** The client's secret. @default none */
  clientSecret?: string
  /** Where tokens are asked for. @default Google's */
  accessUrl?: string
  /** A service account's client id, in place of a refresh token. @default none */
  serviceClient?: string
  /** The service account's private key as PEM. @default none */
  privateKey?: string
  /** The scope that a service account asks for. @default Google's for mail */
  scope?: string
}

export type SmtpAuth = { user: string; pass: string } | { user: string; oauth2: OAuth2 }

export interface DkimKey {
  domain: string
  selector: string
  /** PEM. */
  privateKey: string
}

/** Milliseconds. Each is absolute: a server that drips bytes gains nothing. */
export interface SmtpTimeouts {
  connect: number
  greeting: number
  handshake: number
  envelope: number
  body: number
  idle: number
}

export interface SmtpTransport {
  kind: 'smtp'
  name: string
  host: string
  port: number
  /** TLS from the first byte (`smtps:`). */
  secure: boolean
  /** Refuse to send in clear when the server offers no STARTTLS. */
  requireTLS: boolean
  auth?: SmtpAuth
  /** Connections at a time, of all threads together. */
  connections?: number
  /** Whether PIPELINING is used where it is offered. */
  pipelining: boolean
  /** URL of an HTTP proxy. */
  proxy?: string
  dkim?: DkimKey[]
  tls: TlsOptions
  /** The name given in EHLO. */
  ehloName?: string
  timeouts: SmtpTimeouts
}

/** Writes each message into a folder. */
export interface FileTransport {
  kind: 'file'
  name: string
  /** Absolute path. */
  dir: string
  dkim?: DkimKey[]
  connections?: number
}

/** SendGrid's v3 API. */
export interface SendgridTransport {
  kind: 'sendgrid'
  name: string
  /** Origin, such as `https://api.sendgrid.com`. */
  endpoint: string
  apiKey: string
  connections?: number
}

export interface SesCredentials {
  /** The key's id. */
  accessKeyId: string
  /** The key itself. */
  secretAccessKey: string
  /** Of temporary credentials. @default none */
  sessionToken?: string
}

/** Amazon SES, API v2. */
export interface SesTransport {
  kind: 'ses'
  name: string
  region?: string
  credentials?: SesCredentials
  endpoint?: string
  configurationSet?: string
  dkim?: DkimKey[]
  connections?: number
}

/** A transport plugin of nodemailer's, loaded in the thread. */
export interface PluginTransport {
  kind: 'plugin'
  name: string
  /** A package, or an absolute path. */
  module: string
  /** Given to what the module exports. */
  options: JsonObject
  connections?: number
}

export type TransportConfig =
  SmtpTransport | FileTransport | SendgridTransport | SesTransport | PluginTransport

export interface TlsReport {
  /** Such as `TLSv1.3`. */
  protocol: string
  cipher: string
  /** Whether the certificate was verified. */
  authorized: boolean
  /** Common name of the certificate. */
  subject: string
  /** ISO 8601. */
  expires: string
}

/** What trying a transport came to. */
export type TransportReport = {
  transport: string
  host: string
  port: number
  /** Milliseconds until it was ready, or had failed. */
  ms: number
} & (
  | {
      ok: true
      /** Absent where the connection is in clear. */
      tls?: TlsReport
      authenticated: boolean
      /** Keywords of the EHLO reply (RFC 5321 section 4.1.1.1). */
      extensions: string[]
      pipelining: boolean
      /** Octets; 0 where the server sets no limit. */
      maxSize: number
    }
  | {
      ok: false
      code: UnreachableCode
      /** One sentence for people. */
      message: string
      reply?: SmtpReply
    }
)

/** The templates, and what the application adds to them. */
export interface TemplateSetup {
  dir: string
  /** Read as `@app`. */
  globals: JsonObject
  /** File URLs of modules. */
  setup?: string
  helpers?: string
}

/** A line for the mailer's logger. */
export interface ThreadLogLine {
  level: 'debug' | 'info' | 'warn' | 'error'
  fields: JsonObject
  message: string
}

/** What a thread is given once, as worker data. The only place where credentials cross. */
export interface ThreadSetup {
  board: SharedArrayBuffer
  recipientsPerSlot: number
  templates?: TemplateSetup
  transports: TransportConfig[]
  /** Milliseconds one attempt may take in all; SMTP connections kept open by a thread. */
  attemptTimeout: number
  /** How much lower than the process's the priority of a thread is: 0 to 19. */
  niceness: number
  connections: number
  /** How many threads there are; each has its share of what is limited for all. */
  threads: number
  /** The file for notes that outlive the process, where the queue does. */
  notes?: string
}

/** What the main thread asks of a thread. */
export interface LaneRequest {
  id: number
  ask: 'probe' | 'deliver' | 'render' | 'compose' | 'inspect' | 'verify' | 'reload' | 'renew' | 'quit'
  task: object | undefined
}

export type LaneAnswer =
  | { hello: number }
  | { log: ThreadLogLine }
  /** So many are open now. */
  | { connections: number }
  | { id: number; value: unknown }
  | { id: number; error: string }
