/** A thread that has been ready for this long, in ms, is stable. */
const STABLE_AFTER = 3_000
/** Deaths in a row after which mail is held. */
const MAX_DEATHS = 3
/** Milliseconds until threads are started again while mail is held; doubled each time. */
const FIRST_DELAY = 1_000
const LONGEST_DELAY = 60_000

/** Why no thread takes mail. */
export interface Outage {
  /** Milliseconds since the epoch. */
  since: number
  /** Why the last thread died. */
  reason: string
  /** Threads that died in a row, none of them because of a message. */
  deaths: number
  /** When the next thread is started, in ms since the epoch. */
  retryAt: number
}

export interface CrashLoopListener {
  /** Makes the reason readable for users: short, and without secrets. */
  describe(reason: string): string
  held(outage: Outage): void
  /** @param lasted milliseconds */
  released(lasted: number): void
}

interface Channel {
  /** Deaths in a row. */
  row: number
  stable: boolean
  timer?: NodeJS.Timeout | undefined
}

/**
 * Detects a crash loop: threads that die again and again for a reason that no message caused, such as a setup module whose
 * connection breaks. Mail is held then, since each further death would make more of it uncertain.
 *
 *               a death, the third in a row on
 *               one channel, and none is stable
 *     ┌─────────┐ ─────────────────────────► ┌─────────┐  delay over: the channels open ┌────────┐
 *     │ running │                            │ holding │ ─────────────────────────────► │ trying │
 *     └─────────┘ ◄───────────┐              └─────────┘ ◄───────────────────────────── └────────┘
 *                             │                             a death: the delay doubles      │
 *                             └─────────────────────────────────────────────────────────────┘
 *                                      a thread has been ready for STABLE_AFTER
 *
 * The count of a channel is reset when its thread is stable. A death with a culprit is not counted: see `CrashAttribution`.
 * The channel of isolated threads counts like any other; but it releases nothing when it is stable, since it does not take the
 * mail that is held.
 */
export class CrashLoop {
  readonly #channels: Channel[]
  readonly #isolated: number
  readonly #listener: CrashLoopListener
  #outage: Outage | undefined
  /** The next delay. */
  #delay = FIRST_DELAY
  /** On `performance.now()`'s clock. */
  #retryAt = 0
  #releasedAt = -Infinity

  /** @param channels their number; the last is that of the isolated thread */
  constructor(channels: number, listener: CrashLoopListener) {
    this.#channels = Array.from({ length: channels }, () => ({ row: 0, stable: false }))
    this.#isolated = channels - 1
    this.#listener = listener
  }

  get outage(): Outage | undefined {
    return this.#outage
  }

  /** Milliseconds until held mail may go out, at the earliest. */
  get releaseIn(): number {
    return this.#outage === undefined ? LONGEST_DELAY : this.delay() + STABLE_AFTER
  }

  /** Milliseconds until a thread may be started. */
  delay(): number {
    return this.#outage === undefined ? 0 : Math.max(0, this.#retryAt - performance.now())
  }

  /** Whether a channel takes no mail at the moment. */
  holds(place: number): boolean {
    if (this.#outage === undefined) return false
    // Suspects are delivered as long as isolated threads stay alive: there the cause becomes clear.
    return place !== this.#isolated || this.#channels[place]!.row > 0
  }

  ready(place: number): void {
    const channel = this.#channels[place]!
    channel.timer = setTimeout(() => {
      channel.row = 0
      channel.stable = true
      if (place !== this.#isolated) this.#release()
    }, STABLE_AFTER).unref()
  }

  /** The thread was terminated because it is no longer needed. */
  ended(place: number): void {
    const channel = this.#channels[place]!
    clearTimeout(channel.timer)
    channel.stable = false
  }

  /** A thread died, or could not start. @param counts whether no message caused it, and no operator requested it */
  died(place: number, counts: boolean, reason: string): void {
    this.ended(place)
    if (!counts) return
    const channel = this.#channels[place]!
    channel.row++
    const described = this.#listener.describe(reason)
    const others = this.#channels.some(({ stable }, index) => stable && index !== this.#isolated)
    if (this.#outage !== undefined) this.#holdOn(place, channel.row, described)
    else if (channel.row >= MAX_DEATHS && !others) this.#hold(channel.row, described)
  }

  close(): void {
    for (const { timer } of this.#channels) clearTimeout(timer)
  }

  #hold(deaths: number, reason: string): void {
    const now = performance.now()
    // Mail that flowed only briefly does not end the crash loop: the delay stays long.
    if (now - this.#releasedAt > LONGEST_DELAY) this.#delay = FIRST_DELAY
    this.#outage = { since: Date.now(), reason, deaths, retryAt: this.#postpone() }
    this.#listener.held(this.#outage)
  }

  #holdOn(place: number, deaths: number, reason: string): void {
    // One try may kill several channels; the delay doubles once.
    const tried = performance.now() >= this.#retryAt && place !== this.#isolated
    const { since, retryAt } = this.#outage!
    this.#outage = { since, reason, deaths, retryAt: tried ? this.#postpone() : retryAt }
  }

  #postpone(): number {
    const delay = this.#delay
    this.#delay = Math.min(LONGEST_DELAY, delay * 2)
    this.#retryAt = performance.now() + delay
    return Date.now() + delay
  }

  #release(): void {
    if (this.#outage === undefined) return
    const { since } = this.#outage
    this.#outage = undefined
    this.#releasedAt = performance.now()
    this.#listener.released(Date.now() - since)
  }
}
