import { type Validator, isPlainObject } from '../validation.js'
import { resolveTarget, type WebhookTarget } from '../webhooks/webhookOptions.js'
import type { WebhookOptions } from './alertWebhook.js'

/** The rules that raise alerts. Each rule has defaults; `false` turns it off. */
export interface AlertOptions {
  /** A large share of recent messages failed, expired, or was refused for some of its recipients. */
  failures?:
    | false
    | {
        /** Share of the settled messages that raises the alert, 0.001 to 1. @default 0.1 */
        share?: number
        /** Period that counts as recent, in ms. @default 300_000 (5 minutes) */
        window?: number
        /** Settled messages within the period below which no alert is raised. @default 20 */
        least?: number
      }
  /** A message has been queued for too long. */
  oldest?:
    | false
    | {
        /** Age that raises the alert, in ms. @default 900_000 (15 minutes) */
        age?: number
      }
  /** A transport can't be reached, or refuses the credentials. */
  breaker?:
    | false
    | {
        /** Time after which the alert is raised, in ms. @default 0 */
        openFor?: number
      }
  /** Worker threads die repeatedly. */
  threads?:
    | false
    | {
        /** Deaths within the period that raise the alert. @default 5 */
        deaths?: number
        /** Period, in ms. @default 60_000 */
        window?: number
      }
  /** Mail is held because worker threads die repeatedly for a reason that is not a message. */
  setup?:
    | false
    | {
        /** Time after which the alert is raised, in ms. @default 0 */
        heldFor?: number
      }
  /** The queue is nearly full. */
  queue?:
    | false
    | {
        /** Share of `limits.queue` in use that raises the alert, 0.001 to 1. @default 0.8 */
        share?: number
      }
  /** A large share of the mail of a transport bounced within the last 24 hours, as far as delivery reports tell. */
  bounces?: false | ReportLimits
  /**
   * Too many recipients of a transport complained within the last 24 hours. Gmail and Yahoo ask senders to stay below 0.3 %.
   */
  complaints?: false | ReportLimits
  /** A webhook of the option `webhooks` does not accept events, answered 410, or has `limits.webhooks` events waiting. */
  webhooks?:
    | false
    | {
        /** Time for which it must not accept events, in ms. The other two raise the alert at once. @default 300_000 (5 minutes) */
        failingFor?: number
      }
  /** Messages are sent, but can't be written to the archive. */
  archive?:
    | false
    | {
        /** Time after which the alert is raised, in ms. @default 0 */
        failingFor?: number
      }
  /** Milliseconds between two evaluations. @default 10_000 */
  interval?: number
  /** Receives the alerts, signed according to Standard Webhooks. @default none */
  webhook?: WebhookOptions
}

/** Limits for what is reported after messages were sent. */
export interface ReportLimits {
  /** Share of the sent messages that raises the alert, 0.001 to 1. @default 0.05 for bounces, 0.003 for complaints */
  share?: number
  /** Messages sent within the period below which no alert is raised. @default 100 for bounces, 1_000 for complaints */
  least?: number
}

export type AlertRule =
  | 'failures'
  | 'oldest'
  | 'breaker'
  | 'threads'
  | 'setup'
  | 'queue'
  | 'bounces'
  | 'complaints'
  | 'webhooks'
  | 'archive'

/** A problem that a rule found. It never contains data of a message or a recipient. */
export interface Alert {
  rule: AlertRule
  /** The transport, for the rules `breaker`, `bounces`, and `complaints`. */
  transport?: string
  /** The URL of the webhook without what may be secret, for the rule `webhooks`. */
  webhook?: string
  /** The measured value, in the unit of the limit: a share, milliseconds, or a count. */
  value: number
  limit: number
  /** A one-sentence description. */
  message: string
  /** Time at which it was raised, ISO 8601. */
  since: string
}

export interface ClearedAlert extends Alert {
  /** Duration of the alert in ms. */
  raisedFor: number
}

/** The resolved options: a rule that is turned off is absent. */
export interface AlertPlan {
  failures?: { share: number; window: number; least: number }
  oldest?: { age: number }
  breaker?: { openFor: number }
  threads?: { deaths: number; window: number }
  setup?: { heldFor: number }
  queue?: { share: number }
  bounces?: Required<ReportLimits>
  complaints?: Required<ReportLimits>
  webhooks?: { failingFor: number }
  archive?: { failingFor: number }
  interval: number
  webhook?: WebhookTarget
}

/** The state in which mail is held with the reason `setup`. */
export interface SetupReading {
  /** Milliseconds since the epoch. */
  since: number
  reason: string
}

/** The messages that all processes on the queue sent over a transport within the last 24 hours, and the reports on them. */
export interface ReportedShare {
  transport: string
  sent: number
  bounced: number
  complained: number
}

/** The condition of a webhook that does not get its events. */
export interface WebhookReading {
  /** Its URL without what may be secret. */
  webhook: string
  state: 'failing' | 'disabled' | 'full'
  /** Milliseconds since the epoch. */
  since: number
  problem: string
}

/** The figures that the rules evaluate. */
export interface AlertReading {
  /** Milliseconds since the epoch. */
  at: number
  /** Since the start of the mailer, as are the next two. */
  settled: number
  failed: number
  threadDeaths: number
  /** Age of the oldest waiting message in ms. */
  oldest: number
  /** Messages that are not settled. */
  waiting: number
  /** Maximum of `waiting`. */
  capacity: number
  /** Transports whose breaker is open, and since when in ms since the epoch. */
  open: { transport: string; since: number }[]
  setup?: SetupReading
  reported?: readonly ReportedShare[]
  webhooks?: readonly WebhookReading[]
  /** Present while writing to the archive fails; `since` in ms since the epoch. */
  archive?: { since: number; failed: number }
}

const RULES: { [R in AlertRule]-?: Required<Exclude<AlertOptions[R], false | undefined>> } = {
  failures: { share: 0.1, window: 300_000, least: 20 },
  oldest: { age: 900_000 },
  breaker: { openFor: 0 },
  threads: { deaths: 5, window: 60_000 },
  setup: { heldFor: 0 },
  queue: { share: 0.8 },
  bounces: { share: 0.05, least: 100 },
  complaints: { share: 0.003, least: 1_000 },
  webhooks: { failingFor: 300_000 },
  archive: { failingFor: 0 },
}

/** @param value `true` for all rules with their defaults */
export function resolveAlerts(check: Validator, value: unknown): AlertPlan | undefined {
  if (value === undefined || value === false) return undefined
  const input = check.object(value === true ? {} : value, 'alerts', [
    ...Object.keys(RULES),
    'interval',
    'webhook',
  ])
  const plan: AlertPlan = { interval: check.timeout(input['interval'] ?? 10_000, 'alerts.interval', 10) }
  for (const rule of Object.keys(RULES) as AlertRule[]) {
    const options = input[rule] ?? {}
    if (options === false) continue
    if (!isPlainObject(options))
      check.fail(`alerts.${rule}`, 'must be an object, or false to turn the rule off')
    Object.assign(plan, { [rule]: resolveLimits(check, RULES[rule], options, `alerts.${rule}`) })
  }
  if (input['webhook'] !== undefined) plan.webhook = resolveTarget(check, input['webhook'], 'alerts.webhook')
  return plan
}

function resolveLimits(
  check: Validator,
  defaults: object,
  options: object,
  path: string,
): Record<string, number> {
  const input = check.object(options, path, Object.keys(defaults))
  const limits = { ...defaults } as Record<string, number>
  for (const [key, value] of Object.entries(input))
    limits[key] = checkLimit(check, key, value, `${path}.${key}`)
  return limits
}

function checkLimit(check: Validator, key: string, value: unknown, path: string): number {
  switch (key) {
    case 'share':
      return check.number(value, path, 0.001, 1)
    case 'least':
    case 'deaths':
      return check.integer(value, path, 1)
    default:
      return check.duration(
        value,
        path,
        key === 'openFor' || key === 'heldFor' || key === 'failingFor' ? 0 : 1,
      )
  }
}
