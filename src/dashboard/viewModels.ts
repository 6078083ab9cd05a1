import { explain, type Message, type MailerStats, type Status } from '../index.js'

/** A message in a list: what one needs to recognise it, and why it stands where it does. */
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
  /** One sentence. */
  why: string
}

export interface MessageRows {
  rows: MessageRow[]
  cursor?: string
}

export interface MessageDetails {
  message: Message
  /** One sentence. */
  why: string
  /** Its recipients are shortened: what it says, which names them, is for those who may manage. */
  shortened: boolean
}

/** What is shown of a message's contents beside its HTML, which is a document of its own. */
export type MessageContents =
  | { kept: false }
  | {
      kept: true
      subject: string
      preheader: string
      text: string
      hasHtml: boolean
      headers: [name: string, value: string][]
      /** Bytes of the whole message, and of its HTML. */
      size: number
      htmlSize: number
      /** What is not shown because there is too much of it, in sentences. */
      notes: string[]
    }

/** A template rendered for a look at it. */
export interface RenderedPreview {
  /** Names the HTML among those kept for their frames. */
  key: string
  subject: string
  preheader: string
  text: string
  /** Bytes. */
  htmlSize: number
  /** What is not shown because there is too much of it, in sentences. */
  notes: string[]
}

/** What one step of a bulk action came to. */
export interface BulkResult {
  done: number
  /** Those for which it was too late, or that are gone. */
  passed: number
  /** Where there are more: for the next step. */
  cursor?: string
}

/** How messages ended in the last minutes. */
export interface RecentCounts {
  /** Messages of which every recipient was accepted; exact up to 50. */
  sent: number
  /** Messages that failed, expired, or were refused by some; exact up to 50 of each. */
  failed: number
}

export interface Tick {
  /** Milliseconds since the epoch. */
  at: number
  stats: MailerStats
  recent: RecentCounts
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

/** Whether `redact.recipients` was at work. */
export function isShortened({ recipients }: Message): boolean {
  return recipients.some(({ address }) => /^.…@/u.test(address))
}
