import type { GroupLimitOptions } from './delivery/groupLimits.js'
import { resolveRate } from './transports/rateLimiter.js'
import { type Validator, MAX_TIMER } from './validation.js'

/** Limits on size, number and time. */
export interface LimitOptions {
  /** Maximum number of messages waiting or being sent. When it is reached, `send()` rejects with `QUEUE_FULL`. @default 100_000 */
  queue?: number
  /** Maximum number of recipients of one mail: `to`, `cc` and `bcc` together. @default 50 */
  recipients?: number
  /** Maximum size of one mail in bytes: content, data, attachments, headers and references. @default 26_214_400 (25 MB) */
  message?: number
  /** Maximum number of attachments of one mail; 0 allows none. @default 50 */
  attachments?: number
  /** Maximum number of entries in the list of addresses that get no more mail. @default 1_000_000 */
  suppressions?: number
  /**
   * Maximum time in milliseconds that a thread may take to start, or to load packages, modules, or a React component. It is terminated
   * after that. If no thread has started before, `createMailer()` rejects with `START_FAILED`. @default 60_000
   */
  start?: number
  /** Maximum rendering time of a template in milliseconds. Its thread is terminated after that. @default 10_000 */
  render?: number
  /**
   * Maximum time in milliseconds that compiling a template may take, once for each version of it. A template that takes longer
   * runs MJML for each message instead. @default 10_000
   */
  compile?: number
  /** Maximum duration of a template's `load` function in milliseconds. Its `signal` is aborted after that, and the message deferred. @default 30_000 */
  load?: number
  /** Maximum duration of one delivery attempt in milliseconds. @default 120_000 */
  attempt?: number
  /**
   * Limits for the messages of each `group`. Those beyond them are held with the reason `budget` until their time. Messages without a group
   * are not limited.
   * @default none
   */
  perGroup?: GroupLimitOptions
  /** Maximum number of transports from `resolveTransport` that are kept while no message needs them. @default 1_000 */
  transports?: number
  /** Maximum number of events that wait for one webhook. When it is reached, new events for it are dropped and counted, and an alert is raised. @default 100_000 */
  webhooks?: number
  /** Maximum heap size of a thread in bytes, at least 16 MB. A thread that exceeds it is terminated. @default 536_870_912 (512 MB) */
  threadMemory?: number
}

type NumericLimits = Required<Omit<LimitOptions, 'perGroup'>>

export type Limits = NumericLimits & Pick<LimitOptions, 'perGroup'>

interface LimitRange {
  byDefault: number
  /** With a lower value, nothing could be sent, or no thread could start. */
  lowest: number
  /** With a higher value, a timer, an array or the heap would fail in its own way. */
  highest: number
}

const MAX_TIME = Math.floor(MAX_TIMER / 2)

const RANGES: Record<keyof NumericLimits, LimitRange> = {
  queue: { byDefault: 100_000, lowest: 1, highest: 2 ** 31 },
  recipients: { byDefault: 50, lowest: 1, highest: 10_000 },
  message: { byDefault: 25 * 1024 * 1024, lowest: 1, highest: 2 ** 29 },
  attachments: { byDefault: 50, lowest: 0, highest: 10_000 },
  suppressions: { byDefault: 1_000_000, lowest: 0, highest: 100_000_000 },
  start: { byDefault: 60_000, lowest: 1_000, highest: MAX_TIME },
  render: { byDefault: 10_000, lowest: 1, highest: MAX_TIME },
  compile: { byDefault: 10_000, lowest: 1, highest: MAX_TIME },
  load: { byDefault: 30_000, lowest: 1, highest: MAX_TIME },
  attempt: { byDefault: 120_000, lowest: 1, highest: MAX_TIME },
  transports: { byDefault: 1_000, lowest: 1, highest: 100_000 },
  webhooks: { byDefault: 100_000, lowest: 1, highest: 10_000_000 },
  threadMemory: { byDefault: 512 * 1024 * 1024, lowest: 16 * 1024 * 1024, highest: 2 ** 40 },
}

const NAMES = Object.keys(RANGES) as (keyof NumericLimits)[]

export function resolveLimits(check: Validator, value: unknown): Limits {
  const input = check.object(value, 'limits', [...NAMES, 'perGroup'])
  const limits: Partial<Limits> = {}
  for (const name of NAMES) {
    const { byDefault, lowest, highest } = RANGES[name]
    limits[name] =
      input[name] === undefined ? byDefault : check.integer(input[name], `limits.${name}`, lowest, highest)
  }
  if (input['perGroup'] !== undefined) limits.perGroup = resolveGroupLimits(check, input['perGroup'])
  return limits as Limits
}

function resolveGroupLimits(check: Validator, value: unknown): GroupLimitOptions {
  const { underWay, rate } = check.object(value, 'limits.perGroup', ['underWay', 'rate'])
  const limits: GroupLimitOptions = {}
  if (underWay !== undefined) limits.underWay = check.integer(underWay, 'limits.perGroup.underWay', 1, 10_000)
  if (rate !== undefined) limits.rate = resolveRate(check, rate, 'limits.perGroup.rate')
  return limits
}
