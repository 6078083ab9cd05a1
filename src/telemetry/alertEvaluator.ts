import type { Alert, AlertPlan, AlertReading, ClearedAlert, ReportedShare } from './alerts.js'

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
      ...this.#webhooks(now),
      ...this.#archive(now),
      ...this.#reports('bounces', now, ({ bounced }) => bounced),
      ...this.#reports('complaints', now, ({ complained }) => complained),
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

  #webhooks({ at, webhooks = [] }: AlertReading): Finding[] {
    const rule = this.#plan.webhooks
    if (rule === undefined) return []
    return webhooks.map(({ webhook, state, since, problem }) => ({
      rule: 'webhooks',
      raises: true,
      webhook,
      value: state === 'failing' ? at - since : Math.max(at - since, rule.failingFor),
      limit: rule.failingFor,
      message: `The webhook ${webhook} ${WEBHOOK_STATES[state]}: ${problem}`,
    }))
  }

  #archive({ at, archive }: AlertReading): Finding[] {
    const rule = this.#plan.archive
    if (rule === undefined || archive === undefined) return []
    const { since, failed } = archive
    const message = `Messages are sent, but can't be written to the archive; ${failed} are missing from it since the mailer started.`
    return [{ rule: 'archive', raises: true, value: at - since, limit: rule.failingFor, message }]
  }

  #reports(
    rule: 'bounces' | 'complaints',
    { reported = [] }: AlertReading,
    countOf: (share: ReportedShare) => number,
  ): Finding[] {
    const plan = this.#plan[rule]
    if (plan === undefined) return []
    return reported.flatMap((share) => {
      const { transport, sent } = share
      if (sent === 0) return []
      const count = countOf(share)
      const message = `${count} ${rule} were reported for ${sent} messages that "${transport}" sent within 24 hours.`
      return [
        { rule, transport, raises: sent >= plan.least, value: count / sent, limit: plan.share, message },
      ]
    })
  }

  /** Returns the last reading at or before a time, or the first one. */
  #before(time: number): AlertReading {
    return this.#readings.findLast(({ at }) => at <= time) ?? this.#readings[0]!
  }
}

const WEBHOOK_STATES = {
  failing: 'does not accept events',
  disabled: 'is disabled',
  full: 'has too many waiting events, and new ones are dropped',
} as const

function keyOf({ rule, transport = '', webhook = '' }: Finding): string {
  return `${rule} ${transport}${webhook}`
}
