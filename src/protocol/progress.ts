/**
 * How far a delivery has progressed, in order. `body` begins before the write that carries the final dot: from there
 * on, only the server's reply shows whether it accepted the message.
 */
export const PHASES = [
  'waiting',
  'loading',
  'rendering',
  'composing',
  'connecting',
  'envelope',
  'body',
  'replied',
] as const
export type Phase = (typeof PHASES)[number]

/** Milliseconds spent on each step of an attempt. */
export interface Timings {
  /** From acceptance, or from when the message became due, until a thread took it. */
  queue?: number
  /** Transfer to the thread. */
  clone?: number
  /** The template's `load` function. */
  load?: number
  compile?: number
  render?: number
  compose?: number
  connect?: number
  transaction?: number
}

/** A record, so that the compiler finds a missing step. */
const STEPS: Readonly<Record<keyof Timings, true>> = {
  queue: true,
  clone: true,
  load: true,
  compile: true,
  render: true,
  compose: true,
  connect: true,
  transaction: true,
}

/** The steps of an attempt that are timed, in order. */
export const TIMING_STEPS = Object.keys(STEPS) as (keyof Timings)[]
