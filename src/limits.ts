import type { GroupLimitOptions } from './delivery/groupLimits.js'
import { resolveRate } from './transports/budgets.js'
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

const DEFAULTS: NumericLimits = {
  queue: 100_000,
  recipients: 50,
  message: 25 * 1024 * 1024,
  attachments: 50,
  suppressions: 1_000_000,
  render: 10_000,
  compile: 10_000,
  load: 30_000,
  attempt: 120_000,
  transports: 1_000,
  webhooks: 100_000,
  threadMemory: 512 * 1024 * 1024,
}

/** With lower values, nothing could be sent, or no thread could start. */
const LOWEST: NumericLimits = {
  queue: 1,
  recipients: 1,
  message: 1,
  attachments: 0,
  suppressions: 0,
  render: 1,
  compile: 1,
  load: 1,
  attempt: 1,
  transports: 1,
  webhooks: 1,
  threadMemory: 16 * 1024 * 1024,
}

/** With higher values, a timer, an array or the heap would fail in its own way. */
const HIGHEST: NumericLimits = {
  queue: 2 ** 31,
  recipients: 10_000,
  message: 2 ** 29,
  attachments: 10_000,
  suppressions: 100_000_000,
  render: Math.floor(MAX_TIMER / 2),
  compile: Math.floor(MAX_TIMER / 2),
  load: Math.floor(MAX_TIMER / 2),
  attempt: Math.floor(MAX_TIMER / 2),
  transports: 100_000,
  webhooks: 10_000_000,
  threadMemory: 2 ** 40,
}

export function resolveLimits(check: Validator, value: unknown): Limits {
  const keys = Object.keys(DEFAULTS) as (keyof NumericLimits)[]
  const input = check.object(value, 'limits', [...keys, 'perGroup'])
  const limits: Limits = { ...DEFAULTS }
  for (const key of keys) {
    if (input[key] === undefined) continue
    limits[key] = check.integer(input[key], `limits.${key}`, LOWEST[key], HIGHEST[key])
  }
  if (input['perGroup'] !== undefined) limits.perGroup = resolveGroupLimits(check, input['perGroup'])
  return limits
}

function resolveGroupLimits(check: Validator, value: unknown): GroupLimitOptions {
  const { underWay, rate } = check.object(value, 'limits.perGroup', ['underWay', 'rate'])
  const limits: GroupLimitOptions = {}
  if (underWay !== undefined) limits.underWay = check.integer(underWay, 'limits.perGroup.underWay', 1, 10_000)
  if (rate !== undefined) limits.rate = resolveRate(check, rate, 'limits.perGroup.rate')
  return limits
}
