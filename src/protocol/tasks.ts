import type { MessagePort } from 'node:worker_threads'
import type { Outcome } from './outcome.js'
import type { TemplateListing, TemplateNotes, TemplateSetup } from './templateManifest.js'
import type { TransportConfig, TransportReport } from './transportConfig.js'

/** The data that crosses between the main thread and a worker: plain data that structured clone preserves. */

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
export interface MessagePayload {
  id: string
  messageId: string
  /** Milliseconds since the epoch; the Date header of every attempt. */
  date: number
  from: Mailbox
  /** The Sender field (RFC 5322 section 3.6.2). */
  sender?: Mailbox
  to: Mailbox[]
  cc: Mailbox[]
  bcc: Mailbox[]
  replyTo: Mailbox[]
  /** The reverse-path (RFC 5321 section 4.1.1.2); empty if bounces go nowhere. */
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
  payload: MessagePayload
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
  /** When it was handed over, on `sharedClock()`. */
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
  payload: MessagePayload
  slot: number
  generation: number
}

/** A message's parts, and the bytes it leaves as; a transport may still sign them. */
export interface ComposedParts extends RenderedParts {
  raw: Uint8Array
}

/** A line for the mailer's logger. */
export interface ThreadLogLine {
  level: 'debug' | 'info' | 'warn' | 'error'
  fields: JsonObject
  message: string
}

/** The settings that a thread receives once, as worker data. Credentials cross only here. */
export interface ThreadSetup {
  board: SharedArrayBuffer
  /** The threads' signs of life; a thread beats once in so many ms. */
  pulses: SharedArrayBuffer
  beat: number
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
  journal?: string
}

/** The settings that a thread receives once, when its channel opens. */
export interface ChannelOpening {
  port: MessagePort
  /** Its place on the pulse board. */
  place: number
  /** One delivery at a time, each watched closely: see `workers/lineage.ts`. */
  isolated: boolean
}

/** Each request, with what it is about and what its answer is. */
interface Requests {
  probe: { task: undefined; answer: TemplateListing }
  deliver: { task: DeliverTask; answer: Outcome }
  render: { task: RenderTask; answer: RenderResult }
  compose: { task: ComposeTask; answer: RenderResult<ComposedParts> }
  inspect: { task: RenderTask; answer: RenderResult<TemplateNotes> }
  verify: { task: { transport: string }; answer: TransportReport }
  reloadTransports: { task: { transports: readonly TransportConfig[] }; answer: undefined }
  reloadTemplates: { task: Pick<ThreadSetup, 'templates'>; answer: undefined }
  quit: { task: undefined; answer: undefined }
}

export type Request = keyof Requests
export type TaskOf<R extends Request> = Requests[R]['task']
export type ReplyOf<R extends Request> = Requests[R]['answer']

export type ChannelRequest = { [R in Request]: { id: number; ask: R; task: TaskOf<R> } }[Request]

export type ChannelReply =
  /** The thread starts: it sets up what the application brings. */
  | { hello: number }
  /** It has, and takes requests. */
  | { ready: true }
  | { log: ThreadLogLine }
  /** So many are open now. */
  | { connections: number }
  | { id: number; value: ReplyOf<Request> }
  | { id: number; error: string }
