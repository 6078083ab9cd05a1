import { type Validator, isPlainObject } from '../validation.js'
import { resolveWebhook, type WebhookOptions, type WebhookTarget } from './webhook.js'

/** When to raise an alarm. Each rule has defaults; `false` turns it off. */
export interface AlertOptions {
  /** Many messages of a while failed, were partly refused or expired. */
  failures?:
    | false
    | {
        /** Their share of those settled, 0.001 to 1. @default 0.1 */
        share?: number
        /** Milliseconds looked back. @default 300_000 (5 minutes) */
        window?: number
        /** Settled messages below which nothing is said. @default 20 */
        least?: number
      }
  /** A message has waited in line for long. */
  oldest?:
    | false
    | {
        /** Milliseconds. @default 900_000 (15 minutes) */
        age?: number
      }
  /** A transport can't be reached, or refuses the password. */
  breaker?:
    | false
    | {
        /** Milliseconds it may last. @default 0 */
        openFor?: number
      }
  /** Threads die again and again. */
  threads?:
    | false
    | {
        /** How many within the window. @default 5 */
        deaths?: number
        /** Milliseconds looked back. @default 60_000 */
        window?: number
      }
  /** Threads die again and again, no message is to blame, and mail is held for it. */
  setup?:
    | false
    | {
        /** Milliseconds it may last. @default 0 */
        heldFor?: number
      }
  /** The queue has little room left. */
  queue?:
    | false
    | {
        /** Share of `limits.queue` in use, 0.001 to 1. @default 0.8 */
        share?: number
      }
  /** Milliseconds between two looks. @default 10_000 */
  interval?: number
  /** Where alerts are sent to, signed as Standard Webhooks are. @default none */
  webhook?: WebhookOptions
}

export type AlertRule = 'failures' | 'oldest' | 'breaker' | 'threads' | 'setup' | 'queue'

/** Something is wrong; nothing in it tells of a message or a recipient. */
export interface Alert {
  rule: AlertRule
  /** Where the rule is about one. */
  transport?: string
  /** What was found, in the unit of the limit: a share, milliseconds, or a number. */
  value: number
  limit: number
  /** One sentence for people. */
  message: string
  /** ISO 8601. */
  since: string
}

export interface ClearedAlert extends Alert {
  /** Milliseconds for which it was raised. */
  raisedFor: number
}

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

/** Mail is held with the reason `setup`. */
export interface SetupReading {
  /** Milliseconds since the epoch. */
  since: number
  reason: string
}

/** What the rules look at. */
export interface AlertReading {
  /** Milliseconds since the epoch. */
  at: number
  /** Counted since the start. */
  settled: number
  failed: number
  threadDeaths: number
  /** Milliseconds the longest-waiting message has waited. */
  oldest: number
  /** Messages not settled, and how many there may be. */
  waiting: number
  capacity: number
  /** Transports that can't be reached, and since when. */
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

/** `true` for all rules as they are. */
export function resolveAlerts(check: Validator, value: unknown): AlertPlan | undefined {
  if (value === undefined || value === false) return undefined
  const given = check.object(value === true ? {} : value, 'alerts', [
    ...Object.keys(RULES),
    'interval',
    'webhook',
  ])
  const plan: AlertPlan = { interval: check.timeout(given['interval'] ?? 10_000, 'alerts.interval', 10) }
  for (const rule of Object.keys(RULES) as AlertRule[]) {
    const wish = given[rule] ?? {}
    if (wish === false) continue
    if (!isPlainObject(wish)) check.fail(`alerts.${rule}`, 'must be an object, or false to turn the rule off')
    Object.assign(plan, { [rule]: limitsOf(check, RULES[rule], wish, `alerts.${rule}`) })
  }
  if (given['webhook'] !== undefined) plan.webhook = resolveWebhook(check, given['webhook'], 'alerts.webhook')
  return plan
}

function limitsOf(check: Validator, defaults: object, wish: object, path: string): Record<string, number> {
  const given = check.object(wish, path, Object.keys(defaults))
  const limits = { ...defaults } as Record<string, number>
  for (const [key, value] of Object.entries(given)) limits[key] = limitOf(check, key, value, `${path}.${key}`)
  return limits
}

function limitOf(check: Validator, key: string, value: unknown, path: string): number {
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

/** An alarm is over only once its value is this much below the limit: one that hovers is raised once. */
const CLEAR_AT = 0.8

interface Measured {
  rule: AlertRule
  transport?: string
  value: number
  limit: number
  message: string
}

/** What a rule measures. One that has too little to go by raises nothing, but what was raised by more stays. */
interface Finding extends Measured {
  raises: boolean
}

/** Decides from readings what is raised and what is over. Each alarm is told once, and its end once. */
export class AlertEvaluator {
  readonly #plan: AlertPlan
  readonly #raised = new Map<string, Alert>()
  /** As far back as the longest window goes. */
  #readings: AlertReading[] = []

  constructor(plan: AlertPlan) {
    this.#plan = plan
  }

  evaluate(reading: AlertReading): { raised: Alert[]; cleared: ClearedAlert[] } {
    this.#readings.push(reading)
    const oldest = reading.at - Math.max(this.#plan.failures?.window ?? 0, this.#plan.threads?.window ?? 0)
    // One from before the window is kept: what has happened since is counted from it.
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
      const lasts =
        finding !== undefined && (finding.value >= finding.limit || finding.value > finding.limit * CLEAR_AT)
      if (lasts) continue
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
        message: `A message has waited in line for ${Math.round(now.oldest / 1_000)} s.`,
      })
    if (queue !== undefined)
      findings.push({
        rule: 'queue',
        raises: true,
        value: now.waiting / now.capacity,
        limit: queue.share,
        message: `${now.waiting} messages wait, and the queue takes ${now.capacity} at most.`,
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
    const message = `${failed} of the last ${settled} messages were not sent to everybody they were for.`
    return [
      {
        rule: 'failures',
        raises: settled >= rule.least,
        value: failed / settled,
        limit: rule.share,
        message,
      },
    ]
  }

  #threads(now: AlertReading): Finding[] {
    const rule = this.#plan.threads
    if (rule === undefined) return []
    const deaths = now.threadDeaths - this.#before(now.at - rule.window).threadDeaths
    const message = `${deaths} threads died within ${Math.round(rule.window / 1_000)} s.`
    return [{ rule: 'threads', raises: true, value: deaths, limit: rule.deaths, message }]
  }

  #setup({ at, setup }: AlertReading): Finding[] {
    const rule = this.#plan.setup
    if (rule === undefined || setup === undefined) return []
    const message = `Mail is held, since threads die again and again and no message is to blame: ${setup.reason}`
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
      message: `The transport "${transport}" does not work; its mail is held.`,
    }))
  }

  /** The last reading from before a time, or the first there is. */
  #before(time: number): AlertReading {
    return this.#readings.findLast(({ at }) => at <= time) ?? this.#readings[0]!
  }
}

function keyOf({ rule, transport = '' }: Finding): string {
  return `${rule} ${transport}`
}
