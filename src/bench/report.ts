import type { Distribution } from './distribution.js'
import type { Figures } from './figures.js'
import type { Mode } from './modes.js'
import type { Scaling } from './scaling.js'
import type { Target } from './targets.js'

/** All that a run of the benchmark found out. Plain data: `--json` prints it. */
export interface BenchReport {
  conditions: Conditions
  modes: ModeResult[]
  /** What could not be measured, and why. */
  left: { mode: string; reason: string }[]
  /** For people, a sentence each. */
  verdict: string[]
  targets?: Target[]
  scaling?: Scaling[]
}

export interface Conditions {
  node: string
  cpu: string
  cpus: number
  platform: string
  date: string
  sink: string
  redis?: string
  workload: string
  /** Of one message as it crosses the line. */
  bytes: number
  rounds: number
  /** Of each measured phase. */
  seconds: number
  messages?: number
  connections: number
  /** Mails a second; else as fast as possible. */
  rate?: number
  /** Requests a second. */
  http: number
  latency: number
  batch: number
}

export interface ModeResult {
  mode: Mode
  meaning: string
  figures: Figures
  /** Of the middle round. */
  curves?: {
    alone: Distribution
    send: Distribution
    delivery: Distribution
    httpIdle?: Distribution
    http?: Distribution
    /** The worst delay of each tenth of a second under mail, in milliseconds. */
    loopOverTime: number[]
  }
}

/** How many times the one is the other, by the medians. */
export function ratio(of: number | undefined, to: number | undefined): number | undefined {
  return of === undefined || to === undefined || to === 0 ? undefined : of / to
}
