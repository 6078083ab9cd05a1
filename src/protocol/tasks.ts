import type { MessagePort } from 'node:worker_threads'
import type { ArchivePlace } from './archiveCell.js'
import type { Outcome } from './outcome.js'
import type { TemplateListing, TemplateNotes, TemplateSetup } from './templateManifest.js'
import type { TransportConfig, TransportReport, TransportUpdate } from './transportConfig.js'

/* The data that crosses between the main thread and a worker: plain data that structured clone preserves. */

/** A mailbox (RFC 5322 section 3.4), parsed and checked. */
export interface Mailbox {
  name?: string
  address: string
}

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
export type JsonObject = Record<string, Json>

declare const isJsonText: unique symbol
/**
 * A plain JSON object as text. A mail's data is serialized once, when the mail is accepted, and parsed once, in the
 * thread. Everything in between copies one string.
 */
export type JsonText = string & { readonly [isJsonText]: true }

/** The content of a message: a template of the folder, ad-hoc MJML, or literal parts. */
export type Content =
  | { kind: 'template'; name: string; locale?: string; data: JsonText }
  /** `untrusted`: it sees nothing of the application. */
  | { kind: 'mjml'; source: string; data: JsonText; untrusted?: true }
  | { kind: 'literal'; html?: string; text?: string }
  /** A finished message (RFC 5322). A large one is in shared memory: no thread copies it. */
  | { kind: 'raw'; octets: Uint8Array }

export interface JobAttachment {
  filename?: string
  content: string | Uint8Array
  /** Bytes. */
  size: number
  contentType?: string
  cid?: string
  /** A calendar object: the same bytes are also the last alternative of the body, with this method. */
  calendar?: CalendarMethod
}

/** Methods of iTIP (RFC 5546) that a mail can have. */
export const CALENDAR_METHODS = ['REQUEST', 'CANCEL', 'REPLY', 'PUBLISH'] as const
export type CalendarMethod = (typeof CALENDAR_METHODS)[number]

/** Unsubscribe targets (RFC 2369, and RFC 8058 for the one click). */
export interface ListUnsubscribe {
  url?: string
  mailto?: string
  oneClick: boolean
  /** Whether the link is signed for the message's recipient. */
  signed?: true
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
  /** The mail's tags, if it has any; services that know tags get them. */
  tags?: string[]
  /** The mail's metadata, if it has any; services that know metadata get it. */
  metadata?: JsonObject
  /** Whether the template's `load` function has run: the payload contains what it returned. */
  loaded?: true
  /** The context of the request that sent it; templates read it as `@context`. */
  context?: JsonObject
}

export interface DeliverTask {
  payload: MessagePayload
  /** The recipients of this attempt: those of the message that are not settled yet. */
  recipients: string[]
  transport: string
  /** The number of this attempt, from 1. */
  attempt: number
  /** Whether an earlier attempt may have sent the message. */
  uncertain?: true
  /** Its place in the delivery journal. */
  note?: number
  /** Milliseconds since the epoch; an envelope that isn't sent by then is never sent. */
  expiresAt: number
  slot: number
  generation: number
  /** When it was handed over, on `sharedClock()`. */
  handedOverAt: number
  /** The earliest time to send it, on `sharedClock()`; it is prepared before that. */
  notBefore?: number
}

/** An attachment that `load` returned. Bytes cross in a block of shared memory or are moved, so that the main thread never copies them. */
export interface LoadedAttachment {
  filename?: unknown
  content?: string | Uint8Array
  /** Of a file that the main thread reads, inside `attachmentRoot`. */
  path?: unknown
  encoding?: unknown
  contentType?: unknown
  cid?: unknown
}

/** The result of a template's `load` function, as plain data that the main thread has yet to validate. */
export interface LoadedValue {
  /** The mail's data with the data that `load` returned. */
  data?: JsonText
  to?: Json
  locale?: Json
  attachments?: LoadedAttachment[]
}

/** A thread's answer to a message whose `load` function has run. The message is then handed out again, with the value in its payload. */
export interface LoadReply {
  result: 'loaded'
  value: LoadedValue
  /** Milliseconds that it took. */
  ms: number
}

/** Returns milliseconds on a monotonic clock that all threads of a process share. */
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

/** A message to build without sending it. */
export interface ComposeTask {
  payload: MessagePayload
  slot: number
  generation: number
}

/** A message's parts, and its bytes before a transport signs them. */
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
  /** The pulse board. */
  pulses: SharedArrayBuffer
  /** Milliseconds between two beats of a thread. */
  beat: number
  recipientsPerSlot: number
  templates?: TemplateSetup
  /** The transports by name. A thread that starts receives them as they are then. */
  transports: Map<string, TransportConfig>
  /** Milliseconds that a template's `load` function may take. */
  loadTimeout: number
  /** Bytes that it may return. */
  messageLimit: number
  /** Milliseconds that one attempt may take in all. */
  attemptTimeout: number
  /** Milliseconds that compiling a template may take before it is rendered per message. */
  compileLimit: number
  /** The amount by which a thread's priority is lower than that of the process: 0 to 19. */
  niceness: number
  /** SMTP connections that a thread keeps open. */
  connections: number
  /** The number of threads; each has its share of the limits of a transport. */
  threads: number
  /** Path of the delivery journal, for a queue that outlives the process. */
  journal?: string
  /** Where messages are kept as they were sent. */
  archive?: ArchivePlace
}

/** The settings that a thread receives once, when its channel opens. */
export interface ChannelOpening {
  port: MessagePort
  /** Its place on the pulse board. */
  place: number
  /** Whether the thread runs one delivery at a time, and tracks whose code runs: see `workers/codeOwner.ts`. */
  isolated: boolean
}

/** The requests to a thread, each with its task and its answer. */
interface Requests {
  probe: { task: undefined; answer: TemplateListing }
  deliver: { task: DeliverTask; answer: Outcome | LoadReply }
  render: { task: RenderTask; answer: RenderResult }
  compose: { task: ComposeTask; answer: RenderResult<ComposedParts> }
  inspect: { task: RenderTask; answer: RenderResult<TemplateNotes> }
  verify: { task: { transport: string }; answer: TransportReport }
  updateTransports: { task: TransportUpdate; answer: undefined }
  reloadTemplates: { task: Pick<ThreadSetup, 'templates'>; answer: undefined }
  quit: { task: undefined; answer: undefined }
}

export type Request = keyof Requests
export type TaskOf<R extends Request> = Requests[R]['task']
export type ReplyOf<R extends Request> = Requests[R]['answer']

export type ChannelRequest = { [R in Request]: { id: number; ask: R; task: TaskOf<R> } }[Request]

/** The SMTP connections of a thread. */
export interface ConnectionCounts {
  open: number
  /** Messages that they may have in flight at a time, beyond one each: see `pipelineDepth`. */
  pipelined: number
}

export type ChannelReply =
  /** The thread with this id starts: it runs the application's setup module. */
  | { hello: number }
  /** The thread has started, and takes requests. */
  | { ready: true }
  | { log: ThreadLogLine }
  /** The connections of the thread have changed. */
  | { connections: ConnectionCounts }
  | { id: number; value: ReplyOf<Request> }
  | { id: number; error: string }
