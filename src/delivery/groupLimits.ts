import type { Clock } from '../clock.js'
import type { Settlement } from '../message/messageState.js'
import type { Allowance, Allowances } from '../transports/rateLimiter.js'

/** Limits for the messages of each group. */
export interface GroupLimitOptions {
  /** Maximum number of messages of a group that are being sent at a time, in each process. @default unlimited */
  underWay?: number
  /**
   * Maximum number of messages of a group within any one second; for all processes on a queue on a server together. A value below 1
   * means one message in several seconds.
   * @default unlimited
   */
  rate?: number
}

/** Groups that are remembered while they are idle, at least. */
const MIN_REMEMBERED = 1_000
/** Milliseconds after which an idle group is forgotten, if its rate has no longer window. */
const IDLE = 60_000
/** Milliseconds that a message waits here for its group's rate, instead of being held in the queue. */
const MAX_WAIT = 200
/** Longest time that a message is held before it is looked at again, in ms. */
const MAX_DELAY = 15 * 60_000
/** Milliseconds of a delivery, as long as none has ended. */
const FIRST_ESTIMATE = 100

interface Group {
  underWay: number
  allowance: Allowance | undefined
  /** When the message that was held last is due, in ms since the epoch. */
  lastDue: number
  /** Milliseconds of a delivery, as a moving average. */
  duration: number
  usedAt: number
}

/** Limits how many messages of a group are under way, and how many begin in a second. The others are held until their time. */
export class GroupLimits {
  readonly #options: GroupLimitOptions
  readonly #allowances: Allowances
  readonly #clock: Clock
  readonly #groups = new Map<string, Group>()
  /** Number of groups at which the idle ones are looked for. */
  #forgetAt = 2 * MIN_REMEMBERED
  #holdsUntil = 0

  constructor(options: GroupLimitOptions, allowances: Allowances, clock: Clock) {
    this.#options = options
    this.#allowances = allowances
    this.#clock = clock
  }

  /** Whether messages are held here: waking them before their time would only hold them again. */
  get active(): boolean {
    return this.#clock.now() < this.#holdsUntil
  }

  /** @returns the settlement; or when the message is due again, in ms since the epoch */
  async within(
    name: string | undefined,
    deliver: () => Promise<Settlement | number>,
  ): Promise<Settlement | number> {
    if (name === undefined) return deliver()
    const group = this.#groupOf(name)
    if (group.underWay >= (this.#options.underWay ?? Infinity))
      return this.#dueIn(group, group.duration / group.underWay)
    group.underWay++
    let transaction: number | undefined
    let hasPermit = false
    try {
      const wait = await permitOf(group.allowance)
      if (wait > 0) return this.#dueIn(group, 1_000 / (group.allowance?.rate ?? 1), wait)
      hasPermit = true
      const start = performance.now()
      const result = await deliver()
      const { attempt } = typeof result === 'number' ? {} : result
      if (attempt !== undefined) {
        transaction = attempt.outcome.timings.transaction ?? 0
        group.duration = 0.8 * group.duration + 0.2 * (performance.now() - start)
      }
      return result
    } finally {
      if (hasPermit) group.allowance?.release(transaction)
      group.underWay--
      group.usedAt = this.#clock.now()
    }
  }

  /** Each message that is held is due one message's time after the one before it. */
  #dueIn(group: Group, each: number, wait = 0): number {
    const now = this.#clock.now()
    let due = Math.max(group.lastDue, now + wait) + each
    if (due <= now + MAX_DELAY) group.lastDue = due
    else due = now + MAX_DELAY * (0.5 + Math.random() / 2)
    this.#holdsUntil = Math.max(this.#holdsUntil, due)
    return due
  }

  #groupOf(name: string): Group {
    const now = this.#clock.now()
    let group = this.#groups.get(name)
    if (group === undefined) {
      if (this.#groups.size >= this.#forgetAt) this.#forgetIdle(now)
      const { rate } = this.#options
      // The name of a transport has no space.
      const allowance = rate === undefined ? undefined : this.#allowances(`group ${name}`, rate)
      group = { underWay: 0, allowance, lastDue: 0, duration: FIRST_ESTIMATE, usedAt: now }
      this.#groups.set(name, group)
    }
    group.usedAt = now
    return group
  }

  #forgetIdle(now: number): void {
    const window = Math.max(IDLE, 1_000 / (this.#options.rate ?? 1))
    for (const [name, { underWay, usedAt, lastDue }] of this.#groups)
      if (underWay === 0 && Math.max(usedAt, lastDue) + window < now) this.#groups.delete(name)
    // With many that are not idle, the next look comes after twice as many: the work stays linear.
    this.#forgetAt = 2 * Math.max(MIN_REMEMBERED, this.#groups.size)
  }
}

/** Waits a moment for a permit. @returns 0 if it was taken, or else the milliseconds until there may be one */
async function permitOf(allowance: Allowance | undefined): Promise<number> {
  if (allowance === undefined) return 0
  for (const begun = performance.now(); ;) {
    const wait = allowance.acquire()
    if (wait <= 0) return 0
    if (performance.now() + wait - begun > MAX_WAIT) return wait
    await new Promise((resolve) => setTimeout(resolve, wait))
  }
}
