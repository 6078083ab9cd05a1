/**
 * The messages between the benchmark and the child processes in which it measures, and the child's end of the
 * channel.
 */
import type { Distribution } from './distribution.js'
import type { Mode } from './modes.js'
import type { Security } from './security.js'
import type { Parts, Workload } from './workload.js'

/** The task of one child process; {@link runTask} reads it, `runChild()` sends it. */
export type ChildTask =
  { task: 'measure' | 'rates' | 'soak' | 'start'; config: RunConfig } | { task: 'trial'; config: TrialConfig }

export interface RunConfig {
  mode: Mode
  /** URL of the SMTP server. */
  transport: string
  security: Security
  /** SMTP connections in total. */
  connections: number
  workload: Workload
  parts: Parts
  /** Length of each measured phase, in seconds. */
  seconds: number
  /** Ends a phase early, after this many messages. @default no limit */
  messages?: number
  /** Messages per second, sent on a fixed schedule. @default as fast as possible */
  rate?: number
  /** Requests per second to an Express route of the measured process; 0 skips that phase. */
  http: number
  /** Messages per call. */
  batch: number
  /** URL of the Redis server, for the modes that need one. */
  redis?: string
  /** Path of a SQLite file that doesn't exist yet. */
  file: string
}

/** Sends the workload once, to find out whether it can be sent at all. */
export interface TrialConfig {
  workload: Workload
  /** URL of the SMTP server. */
  transport: string
}

/** Activity of a process, and of its main thread in particular, over a period. */
export interface ProcessUsage {
  seconds: number
  /** Lateness of the event loop's timers, in milliseconds. */
  loop: Distribution
  /** Maximum lateness in each tenth of a second, in milliseconds. */
  loopOverTime: number[]
  /** Share of the time in which the main event loop was busy, 0 to 1. */
  utilisation: number
  /** CPU time in seconds, of the main thread (where the operating system reports it) and of all threads together. */
  cpu: { main?: number; all: number }
}

/** Result of a phase in which messages were sent. */
export interface MailPhase extends ProcessUsage {
  messages: number
  /** Messages per second. */
  rate: number
  /** Time from submission (or, with a rate, from the scheduled time) to the server's acceptance, in milliseconds. */
  delivery: Distribution
  /** With a rate, messages not delivered before the time limit. */
  unfinished: number
}

export interface Measurement {
  /** Time from the start of the process to the delivery of the first message, in milliseconds. */
  start: number
  /** The first messages after that, before V8 has compiled the code for them. */
  cold: { messages: number; rate: number }
  /** The process without mail and without HTTP, measured in the same way: what the measurement itself costs. */
  overhead: ProcessUsage
  /** One message at a time, in milliseconds. */
  alone: { send: Distribution; delivery: Distribution; loop: Distribution }
  /** HTTP load without mail. */
  idle: ProcessUsage & { http?: Distribution }
  mail: MailPhase
  /** Mail and HTTP load at the same time. */
  both?: MailPhase & { http: Distribution }
  /** Resident set size at the end, in bytes. */
  rss: number
}

/** The cost of a message at a rate at which applications send. */
export interface RatePoint {
  /** Scheduled messages per second. */
  at: number
  mail: MailPhase
  /** The same schedule without mail. */
  overhead: ProcessUsage
}

/** One second of a soak test. */
export interface SoakSample {
  /** Time since the start, in seconds. */
  seconds: number
  /** Messages per second. */
  rate: number
  /** Resident set size of the process with its threads, in bytes. */
  rss: number
  /** Heap of the main thread, in bytes. */
  heap: number
  /** Open sockets of the process; undefined where the operating system doesn't report them. */
  sockets?: number
  /** 99th percentile of the event loop's lateness, in milliseconds. */
  loopP99: number
}

/** Last message of a child process. */
export type ChildAnswer<T> = { measurement: T } | { failure: string }

/** Runs `work` on the first message from `runChild()`, sends the result to the parent, and disconnects. */
export function runTask<Answer>(work: (task: never) => Promise<Answer>): void {
  process.once('message', (task: unknown) => {
    void work(task as never)
      .then(
        (measurement): ChildAnswer<Answer> => ({ measurement }),
        (error: unknown): ChildAnswer<Answer> => ({
          failure: error instanceof Error ? error.message : String(error),
        }),
      )
      .then((answer) => process.send?.(answer, () => process.disconnect()))
  })
}

/** Sends the parent an intermediate result. */
export function reportProgress(note: object): void {
  process.send?.({ note })
}
