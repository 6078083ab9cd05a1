/** Transports as a thread is told of them, and what it tells of them. */
import type { SmtpReply, UnreachableCode } from './outcome.js'
import type { JsonObject } from './tasks.js'

/** The name of a mailer's only transport, and of the transport that a process without transports stores with a message. */
export const DEFAULT_TRANSPORT = 'default'

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

/** How a DKIM key compares with its record in the DNS. */
export interface DkimReport {
  domain: string
  selector: string
  /** The name of the TXT record: `SELECTOR._domainkey.DOMAIN`. */
  name: string
  /** Whether receivers can verify the signatures with the record. */
  ok: boolean
  /** One sentence, which contains the record to publish if it is missing or differs. */
  message: string
}

/** What trying a transport came to. */
export type TransportReport = {
  transport: string
  host: string
  port: number
  /** Milliseconds until it was ready, or had failed. */
  ms: number
  /** One report for each DKIM key of the transport. @default none: the transport does not sign */
  dkim?: DkimReport[]
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
