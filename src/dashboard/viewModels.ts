import {
  type Activity,
  type AuditEntry,
  explain,
  type GroupFigures,
  type HistoryPoint,
  type JsonObject,
  type Message,
  type Status,
  type WebhookStatus,
} from '../index.js'

/** The actions on messages. */
export type Action = 'retry' | 'cancel' | 'mark-sent' | 'send-again'

/** A message in a list, with an explanation of its status. */
export interface MessageRow {
  id: string
  status: Status
  uncertain: boolean
  /** The first recipient. */
  to: string
  /** Further recipients. */
  more: number
  subject?: string
  template?: string
  tags: string[]
  /** ISO 8601. */
  acceptedAt: string
  attempts: number
  /** One sentence that explains the status. */
  why: string
}

export interface MessageRows {
  rows: MessageRow[]
  cursor?: string
}

export interface MessageDetails {
  message: Message
  /** One sentence that explains the status. */
  why: string
  /** Whether `redact.recipients` is on: then the content, which names the recipients, requires the scope `manage`. */
  shortened: boolean
  /** The log line of each attempt, rebuilt from the message. */
  log: string[]
  /** Id of the mail in the embedded inbox, if it is there. */
  inInbox?: string
}

/** Ids of the messages before and after another one in a list. Absent if there is none, or none was found within the bound. */
export interface Neighbors {
  newer?: string
  older?: string
}

/** The content of a message, without its HTML, which is a document of its own. */
export type MessageContents =
  | { kept: false }
  | {
      kept: true
      subject: string
      /** Data for the placeholders; absent if the mail has none. */
      data?: JsonObject
      preheader: string
      text: string
      hasHtml: boolean
      headers: [name: string, value: string][]
      /** Bytes of the whole message, and of its HTML. */
      size: number
      htmlSize: number
      /** Sentences about the parts that are too long to show in full. */
      notes: string[]
    }

/** A template rendered for a preview. */
export interface RenderedPreview {
  /** Key of the rendered document, for `renders/:key`. */
  key: string
  subject: string
  preheader: string
  text: string
  /** Bytes. */
  htmlSize: number
  /** Sentences about the parts that are too long to show in full. */
  notes: string[]
}

/** The result of one step of a bulk action. */
export interface BulkResult {
  /** Messages that were changed. */
  done: number
  /** Messages that were skipped: the action no longer applies to them, or they no longer exist. */
  passed: number
  /** The cursor of the next step. Absent after the last one. */
  cursor?: string
}

/** The figures of each template or transport. */
export interface GroupsView {
  groups: GroupFigures[]
}

/** The endpoints that receive the mailer's events. */
export interface WebhooksView {
  webhooks: WebhookStatus[]
}

export interface AuditLogView {
  /** Newest first. */
  entries: AuditEntry[]
}

/** The state of the queue and of all processes on it, sent once a second. */
export interface Tick {
  activity: Activity
  /** The current period of the history, and the one before. */
  points: HistoryPoint[]
}

export function rowOf(message: Message): MessageRow {
  const { id, status, uncertain, recipients, subject, template, tags, acceptedAt, attempts } = message
  return {
    id,
    status,
    uncertain,
    to: recipients[0]?.address ?? '',
    more: Math.max(0, recipients.length - 1),
    ...(subject === undefined ? {} : { subject }),
    ...(template === undefined ? {} : { template }),
    tags,
    acceptedAt,
    attempts: attempts.length,
    why: explain(message),
  }
}
