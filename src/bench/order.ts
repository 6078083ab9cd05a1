/** What a measured process is told, and what it answers. Plain data: it crosses between processes. */
import type { Distribution } from './distribution.js'
import type { Mode } from './modes.js'

/** Of mails that go nowhere. */
export const SENDER = 'Bench <bench@bench.example>'

export interface Workload {
  /** What it is called in the report. */
  title: string
  /** Folder of templates. */
  templates: string
  template: string
  data: object
  /** Of each mail. */
  recipients: number
  /** Bytes of a file attached to each mail; 0 is none. */
  attachment: number
  /** Where mail goes in the place of the bench's own made-up addresses. */
  to?: string
  from: string
}

/** What threadpost makes of a workload. Rivals are given the subject and the text, so that they need not derive them. */
export interface Parts {
  subject: string
  html: string
  text: string
}

export interface RunOrder {
  mode: Mode
  /** SMTP URL. */
  transport: string
  /** SMTP connections in all. */
  connections: number
  workload: Workload
  parts: Parts
  /** Of each of the measured phases. */
  seconds: number
  /** A phase ends after so many, if that comes first. */
  messages?: number
  /** Mails a second, handed over by the clock; else as fast as possible. */
  rate?: number
  /** Requests a second to an Express route of the measured process; 0 leaves that phase out. */
  http: number
  /** Mails handed over in one call. */
  batch: number
  redis?: string
  /** Path of a SQLite file yet to be made. */
  file: string
}

/** What the main thread of a process did while something went on. */
export interface Watch {
  seconds: number
  /** How much later than asked for a timer came, in milliseconds. */
  loop: Distribution
  /** The worst of each tenth of a second. */
  loopOverTime: number[]
  /** Share of the time in which the main event loop was busy, 0 to 1. */
  utilisation: number
  /** Seconds of CPU: of the main thread (where the system tells it), and of the process with its threads. */
  cpu: { main?: number; all: number }
}

/** A phase in which mail was sent. */
export interface MailPhase extends Watch {
  messages: number
  /** Messages a second. */
  rate: number
  /** From handing over (with a rate: from when that was due) to the server's yes, in milliseconds. */
  delivery: Distribution
  /** With a rate: mails the mode had not delivered when its patience ended. */
  unfinished: number
}

export interface Measurement {
  /** Milliseconds from the start of the process to the first mail's arrival. */
  start: number
  /** One mail after another, none at the same time, in milliseconds. */
  alone: { send: Distribution; delivery: Distribution; loop: Distribution }
  /** No mail, with the HTTP load. */
  idle: Watch & { http?: Distribution }
  mail: MailPhase
  /** Mail and HTTP at the same time. */
  both?: MailPhase & { http: Distribution }
  /** Bytes, after all that. */
  rss: number
}

/** The last word of a measured process. */
export type ChildAnswer<T> = { measurement: T } | { failure: string }
