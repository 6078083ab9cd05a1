/* The settings of transports as the threads receive them, and a thread's report of a test. */
import type { SmtpReply, UnreachableCode } from './outcome.js'
import type { JsonObject } from './tasks.js'

/** The name of a mailer's only transport, and of the transport that a process without transports stores with a message. */
export const DEFAULT_TRANSPORT = 'default'

export interface TlsOptions {
  /** Reject a certificate that isn't valid for the host. @default true */
  rejectUnauthorized?: boolean
  /** PEM of the certificate authorities to trust. @default the built-in ones */
  ca?: string | string[]
  /** The name that the certificate must be valid for. @default the host */
  servername?: string
  /** The oldest version of TLS to use: 'TLSv1.2' or 'TLSv1.3'. @default 'TLSv1.2' */
  minVersion?: 'TLSv1.2' | 'TLSv1.3'
}

/** How access tokens are requested: the form fields of the grant (RFC 6749, RFC 7523), and where they are sent. */
export type TokenGrant = {
  /** URL. */
  tokenEndpoint: string
} & (
  | { grant: 'client_credentials'; clientId: string; clientSecret: string; scope: string }
  | { grant: 'refresh_token'; refreshToken: string; clientId: string; clientSecret: string; scope?: string }
  | { grant: 'jwt-bearer'; issuer: string; subject: string; privateKey: string; scope: string }
)

/** The source of access tokens of an account. */
export interface TokenSource {
  /** The first token. */
  accessToken?: string
  /** Without one, the first token is used for as long as the server accepts it. */
  grant?: TokenGrant
  /** The memory in which the threads share the token: see `TokenCell`. */
  cell?: SharedArrayBuffer
}

export type SmtpAuth = { user: string; pass: string } | { user: string; oauth2: TokenSource }

export interface DkimKey {
  domain: string
  selector: string
  /** PEM. */
  privateKey: string
}

/** The version of IP of the connections: 4 or 6 for only that, or the one that is tried first. */
export type IpFamily = 4 | 6 | 'ipv4first' | 'ipv6first'

/** Milliseconds. Each limit is absolute: a server that sends single bytes doesn't extend it. */
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
  /** Never send without TLS, even if the server offers no STARTTLS. */
  requireTLS: boolean
  /** Don't use STARTTLS, even if the server offers it. */
  ignoreTLS?: boolean
  auth?: SmtpAuth
  /** The maximum number of open connections, of all threads together. */
  connections?: number
  /** Whether PIPELINING is used if the server offers it. */
  pipelining: boolean
  /** Messages in flight on a connection where the server offers CHUNKING; undefined: as many as the round trip needs. */
  pipelineDepth?: number
  /** Whether to ask for delivery status notifications (RFC 3461) if the server offers DSN. */
  dsn?: true
  /** URL of an HTTP or SOCKS5 proxy. */
  proxy?: string
  /** The only version of IP, or the one that is tried first. */
  family?: IpFamily
  /** The address of this machine to connect from. */
  localAddress?: string
  dkim?: DkimKey[]
  tls: TlsOptions
  /** The name sent in EHLO. Without one, the thread uses the domain of the first message's sender. */
  ehloName?: string
  /** Transactions after which a connection is replaced. */
  messagesPerConnection: number
  /** Connect to public addresses only. */
  publicOnly?: true
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

/** The common settings of mail services with an HTTP API. */
interface ApiTransportBase {
  name: string
  /** Origin. */
  endpoint: string
  /** Connect to public addresses only. */
  publicOnly?: true
  connections?: number
}

export interface SendgridTransport extends ApiTransportBase {
  kind: 'sendgrid'
  apiKey: string
  sandbox?: boolean
}

export interface PostmarkTransport extends ApiTransportBase {
  kind: 'postmark'
  token: string
  messageStream?: string
}

export interface MailgunTransport extends ApiTransportBase {
  kind: 'mailgun'
  apiKey: string
  domain: string
  sandbox?: boolean
}

export interface ResendTransport extends ApiTransportBase {
  kind: 'resend'
  apiKey: string
}

export interface BrevoTransport extends ApiTransportBase {
  kind: 'brevo'
  apiKey: string
  sandbox?: boolean
}

export interface MailjetTransport extends ApiTransportBase {
  kind: 'mailjet'
  apiKey: string
  secretKey: string
  sandbox?: boolean
}

/** Microsoft Graph, as an application (client credentials). */
export interface MsgraphTransport extends ApiTransportBase {
  kind: 'msgraph'
  tenantId: string
  clientId: string
  clientSecret: string
  user: string
  tokenEndpoint: string
  /** The memory in which the threads share the access token: see `TokenCell`. */
  cell?: SharedArrayBuffer
}

export type ApiTransport =
  | SendgridTransport
  | PostmarkTransport
  | MailgunTransport
  | ResendTransport
  | BrevoTransport
  | MailjetTransport
  | MsgraphTransport

export interface SesCredentials {
  /** The id of the access key. */
  accessKeyId: string
  /** The secret access key. */
  secretAccessKey: string
  /** The session token of temporary credentials. @default none */
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

/** A nodemailer transport plugin, loaded in the thread. */
export interface PluginTransport {
  kind: 'plugin'
  name: string
  /** A package, or an absolute path. */
  module: string
  /** The argument of the function that the module exports. */
  options: JsonObject
  connections?: number
}

export type TransportConfig = SmtpTransport | FileTransport | SesTransport | ApiTransport | PluginTransport

/** A change of a thread's transports; all others stay as they are. */
export interface TransportUpdate {
  /** New transports, and the new settings of known ones. */
  set: readonly TransportConfig[]
  /** Names of the transports that close. */
  remove: readonly string[]
}

export interface TlsReport {
  /** Such as `TLSv1.3`. */
  protocol: string
  cipher: string
  /** Whether the certificate was verified. */
  authorized: boolean
  /** Common name of the certificate; its first alternative name if it has none. */
  subject: string
  /** ISO 8601. */
  expires: string
}

/** The path of a connection. */
export interface RouteReport {
  /** The IP address that the connection goes to: the server's, or the proxy's. */
  address: string
  family: 4 | 6
  /** The IP address of this machine that it comes from. */
  localAddress: string
  /** URL of the proxy without its credentials. @default none */
  proxy?: string
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

/** The result of testing a transport. */
export type TransportReport = {
  transport: string
  host: string
  port: number
  /** Milliseconds until the connection was ready, or had failed. */
  ms: number
  /** One report for each DKIM key of the transport. @default none: the transport does not sign */
  dkim?: DkimReport[]
} & (
  | {
      ok: true
      /** Absent if the connection is not encrypted. */
      tls?: TlsReport
      /** Absent for services. */
      route?: RouteReport
      authenticated: boolean
      /** The name that was sent in EHLO; absent for services. */
      ehloName?: string
      /** Keywords of the EHLO reply (RFC 5321 section 4.1.1.1). */
      extensions: string[]
      pipelining: boolean
      /** The largest message that the server accepts, in octets; 0 if it sets no limit. */
      maxSize: number
    }
  | {
      ok: false
      code: UnreachableCode
      /** One sentence for users. */
      message: string
      reply?: SmtpReply
    }
)
