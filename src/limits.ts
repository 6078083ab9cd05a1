import { type Validator, MAX_TIMER } from './validation.js'

export interface LimitOptions {
  /** Messages waiting or in delivery; beyond it `send()` is refused with `QUEUE_FULL`. @default 100_000 */
  queue?: number
  /** Recipients of one mail: to, cc and bcc together. @default 50 */
  recipients?: number
  /** Bytes of one mail: content, data, attachments, headers and references. @default 26_214_400 (25 MB) */
  message?: number
  /** Attachments of one mail; 0 for none. @default 50 */
  attachments?: number
  /** Milliseconds a template may take to render, before its thread is ended. @default 10_000 */
  render?: number
  /** Milliseconds one attempt may take in all. @default 120_000 */
  attempt?: number
  /** Bytes of heap a thread may use, before it is ended; 16 MB at least. @default 536_870_912 (512 MB) */
  threadMemory?: number
}

export type Limits = Required<LimitOptions>

const DEFAULTS: Limits = {
  queue: 100_000,
  recipients: 50,
  message: 25 * 1024 * 1024,
  attachments: 50,
  render: 10_000,
  attempt: 120_000,
  threadMemory: 512 * 1024 * 1024,
}

/** Below these nothing would be sent, or no thread would live. */
const LOWEST: Limits = {
  queue: 1,
  recipients: 1,
  message: 1,
  attachments: 0,
  render: 1,
  attempt: 1,
  threadMemory: 16 * 1024 * 1024,
}

/** Beyond these a timer, an array or a heap would fail in ways of its own. */
const HIGHEST: Limits = {
  queue: 2 ** 31,
  recipients: 10_000,
  message: 2 ** 29,
  attachments: 10_000,
  render: Math.floor(MAX_TIMER / 2),
  attempt: Math.floor(MAX_TIMER / 2),
  threadMemory: 2 ** 40,
}

export function resolveLimits(check: Validator, value: unknown): Limits {
  const keys = Object.keys(DEFAULTS) as (keyof Limits)[]
  const given = check.object(value, 'limits', keys)
  const limits = { ...DEFAULTS }
  for (const key of keys) {
    if (given[key] === undefined) continue
    limits[key] = check.integer(given[key], `limits.${key}`, LOWEST[key], HIGHEST[key])
  }
  return limits
}
