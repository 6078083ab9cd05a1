import { type Validator, isPlainObject } from '../validation.js'
import { resolveWebhook, type WebhookOptions, type WebhookTarget } from './webhook.js'

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
  /** Milliseconds between two evaluations. @default 10_000 */
  interval?: number
  /** Receives the alerts, signed according to Standard Webhooks. @default none */
  webhook?: WebhookOptions
}

export type AlertRule = 'failures' | 'oldest' | 'breaker' | 'threads' | 'setup' | 'queue'

/** A problem that a rule found. It never contains data of a message or a recipient. */
export interface Alert {
  rule: AlertRule
  /** The transport, for the rule `breaker`. */
  transport?: string
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
  interval: number
  webhook?: WebhookTarget
}

/** The state in which mail is held with the reason `setup`. */
export interface SetupReading {
  /** Milliseconds since the epoch. */
  since: number
  reason: string
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
}

const RULES: { [R in AlertRule]-?: Required<Exclude<AlertOptions[R], false | undefined>> } = {
  failures: { share: 0.1, window: 300_000, least: 20 },
  oldest: { age: 900_000 },
  breaker: { openFor: 0 },
  threads: { deaths: 5, window: 60_000 },
  setup: { heldFor: 0 },
  queue: { share: 0.8 },
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
  if (input['webhook'] !== undefined) plan.webhook = resolveWebhook(check, input['webhook'], 'alerts.webhook')
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
      return check.duration(value, path, key === 'openFor' || key === 'heldFor' ? 0 : 1)
  }
}

/** An alert is cleared when its value falls to this share of the limit, so that a value around the limit raises it once. */
const CLEAR_AT = 0.8

/** A measurement of a rule. With too few messages it raises no alert, but it can keep one raised. */
interface Finding extends Omit<Alert, 'since'> {
  raises: boolean
}

/** Evaluates readings. Returns each alert once when it is raised, and once when it is cleared. */
export class AlertEvaluator {
  readonly #plan: AlertPlan
  readonly #raised = new Map<string, Alert>()
  /** The readings of the longest window, in order, and one before it. */
  #readings: AlertReading[] = []

  constructor(plan: AlertPlan) {
    this.#plan = plan
  }

  /** The alerts that are raised at present. */
  get raised(): Alert[] {
    return [...this.#raised.values()]
  }

  evaluate(reading: AlertReading): { raised: Alert[]; cleared: ClearedAlert[] } {
    this.#readings.push(reading)
    const oldest = reading.at - Math.max(this.#plan.failures?.window ?? 0, this.#plan.threads?.window ?? 0)
    // One reading from before the window is kept, as the base for the counts within it.
    while (this.#readings.length > 1 && this.#readings[1]!.at <= oldest) this.#readings.shift()

    const found = new Map(this.#findings(reading).map((finding) => [keyOf(finding), finding]))
    const raised: Alert[] = []
    for (const [key, { raises, ...measured }] of found) {
      if (this.#raised.has(key) || !raises || measured.value < measured.limit) continue
      const alert = { ...measured, since: new Date(reading.at).toISOString() }
      this.#raised.set(key, alert)
      raised.push(alert)
    }
    const cleared: ClearedAlert[] = []
    for (const [key, alert] of this.#raised) {
      const finding = found.get(key)
      const persists =
        finding !== undefined && (finding.value >= finding.limit || finding.value > finding.limit * CLEAR_AT)
      if (persists) continue
      this.#raised.delete(key)
      const value = finding?.value ?? 0
      cleared.push({ ...alert, value, raisedFor: reading.at - Date.parse(alert.since) })
    }
    return { raised, cleared }
  }

  #findings(now: AlertReading): Finding[] {
    const { oldest, queue } = this.#plan
    const findings: Finding[] = [
      ...this.#failures(now),
      ...this.#threads(now),
      ...this.#setup(now),
      ...this.#breakers(now),
    ]
    if (oldest !== undefined)
      findings.push({
        rule: 'oldest',
        raises: true,
        value: now.oldest,
        limit: oldest.age,
        message: `The oldest message has waited for ${Math.round(now.oldest / 1_000)} s.`,
      })
    if (queue !== undefined)
      findings.push({
        rule: 'queue',
        raises: true,
        value: now.waiting / now.capacity,
        limit: queue.share,
        message: `${now.waiting} messages are waiting; the queue holds at most ${now.capacity}.`,
      })
    return findings
  }

  #failures(now: AlertReading): Finding[] {
    const rule = this.#plan.failures
    if (rule === undefined) return []
    const before = this.#before(now.at - rule.window)
    const settled = now.settled - before.settled
    const failed = now.failed - before.failed
    if (settled === 0) return []
    const message = `${failed} of the last ${settled} messages did not reach all of their recipients.`
    const raises = settled >= rule.least
    return [{ rule: 'failures', raises, value: failed / settled, limit: rule.share, message }]
  }

  #threads(now: AlertReading): Finding[] {
    const rule = this.#plan.threads
    if (rule === undefined) return []
    const deaths = now.threadDeaths - this.#before(now.at - rule.window).threadDeaths
    const message = `${deaths} worker threads died within ${Math.round(rule.window / 1_000)} s.`
    return [{ rule: 'threads', raises: true, value: deaths, limit: rule.deaths, message }]
  }

  #setup({ at, setup }: AlertReading): Finding[] {
    const rule = this.#plan.setup
    if (rule === undefined || setup === undefined) return []
    const message = `Mail is held because worker threads die repeatedly for a reason that is not a message: ${setup.reason}`
    return [{ rule: 'setup', raises: true, value: at - setup.since, limit: rule.heldFor, message }]
  }

  #breakers(now: AlertReading): Finding[] {
    const rule = this.#plan.breaker
    if (rule === undefined) return []
    return now.open.map(({ transport, since }) => ({
      rule: 'breaker',
      raises: true,
      transport,
      value: now.at - since,
      limit: rule.openFor,
      message: `The transport "${transport}" is not working; its mail is held.`,
    }))
  }

  /** Returns the last reading at or before a time, or the first one. */
  #before(time: number): AlertReading {
    return this.#readings.findLast(({ at }) => at <= time) ?? this.#readings[0]!
  }
}

function keyOf({ rule, transport = '' }: Finding): string {
  return `${rule} ${transport}`
}
