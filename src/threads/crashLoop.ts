/** A thread that has been ready for this long, in ms, is sound. */
const SOUND_AFTER = 3_000
/** Deaths in a row after which mail is held. */
const DEATHS = 3
/** Milliseconds until threads are started again while mail is held; doubled each time. */
const FIRST_DELAY = 1_000
const LONGEST_DELAY = 60_000

/** Why no thread takes mail. */
export interface Outage {
  /** Milliseconds since the epoch. */
  since: number
  /** What the last thread died of. */
  reason: string
  /** Threads that died in a row, none of them because of a message. */
  deaths: number
  /** When threads are started again, in ms since the epoch. */
  retryAt: number
}

export interface CrashLoopListener {
  /** The reason as people may read it: short, and without secrets. */
  describe(reason: string): string
  held(outage: Outage): void
  /** @param lasted milliseconds */
  released(lasted: number): void
}

interface Lane {
  /** Deaths in a row. */
  row: number
  sound: boolean
  timer?: NodeJS.Timeout | undefined
}

/**
 * Notices when threads die again and again of something that no message caused, such as a setup module whose connection
 * breaks: a crash loop. Mail is held then, since each further death would make more of it uncertain.
 *
 *               a death, the third in a row on
 *               one lane, and no lane is sound
 *     ┌─────────┐ ─────────────────────────► ┌─────────┐   delay over: the lanes open   ┌────────┐
 *     │ running │                            │ holding │ ─────────────────────────────► │ trying │
 *     └─────────┘ ◄───────────┐              └─────────┘ ◄───────────────────────────── └────────┘
 *                             │                             a death: the delay doubles      │
 *                             └─────────────────────────────────────────────────────────────┘
 *                                      a thread has been ready for SOUND_AFTER
 *
 * A row ends when its lane is sound. A death with a culprit is no part of it: see `Blame`. The lane of isolated threads
 * counts as any other; that it is sound releases nothing, since it does not take the mail that is held.
 */
export class CrashLoop {
  readonly #lanes: Lane[]
  readonly #isolated: number
  readonly #listener: CrashLoopListener
  #outage: Outage | undefined
  /** The next delay. */
  #delay = FIRST_DELAY
  /** On `performance.now()`'s clock. */
  #retryAt = 0
  #releasedAt = -Infinity

  /** @param lanes how many there are; the last is that of isolated threads */
  constructor(lanes: number, listener: CrashLoopListener) {
    this.#lanes = Array.from({ length: lanes }, () => ({ row: 0, sound: false }))
    this.#isolated = lanes - 1
    this.#listener = listener
  }

  get outage(): Outage | undefined {
    return this.#outage
  }

  /** Milliseconds until mail that is held may go, at the earliest. */
  get releaseIn(): number {
    return this.#outage === undefined ? LONGEST_DELAY : this.delay() + SOUND_AFTER
  }

  /** Milliseconds until a thread may be started. */
  delay(): number {
    return this.#outage === undefined ? 0 : Math.max(0, this.#retryAt - performance.now())
  }

  /** Whether a lane takes no mail at present. */
  holds(place: number): boolean {
    if (this.#outage === undefined) return false
    // Suspects go on as long as isolated threads live: whose fault it is turns out there.
    return place !== this.#isolated || this.#lanes[place]!.row > 0
  }

  ready(place: number): void {
    const lane = this.#lanes[place]!
    lane.timer = setTimeout(() => {
      lane.row = 0
      lane.sound = true
      if (place !== this.#isolated) this.#release()
    }, SOUND_AFTER).unref()
  }

  /** The thread was ended because nobody needs it. */
  ended(place: number): void {
    const lane = this.#lanes[place]!
    clearTimeout(lane.timer)
    lane.sound = false
  }

  /** A thread died, or could not start. @param counts whether no message caused it, and nobody wanted it */
  died(place: number, counts: boolean, reason: string): void {
    this.ended(place)
    if (!counts) return
    const lane = this.#lanes[place]!
    lane.row++
    const described = this.#listener.describe(reason)
    const others = this.#lanes.some(({ sound }, index) => sound && index !== this.#isolated)
    if (this.#outage !== undefined) this.#holdOn(place, lane.row, described)
    else if (lane.row >= DEATHS && !others) this.#hold(lane.row, described)
  }

  close(): void {
    for (const { timer } of this.#lanes) clearTimeout(timer)
  }

  #hold(deaths: number, reason: string): void {
    const now = performance.now()
    // Mail that flowed for a moment only is no end of the trouble.
    if (now - this.#releasedAt > LONGEST_DELAY) this.#delay = FIRST_DELAY
    this.#outage = { since: Date.now(), reason, deaths, retryAt: this.#postpone() }
    this.#listener.held(this.#outage)
  }

  #holdOn(place: number, deaths: number, reason: string): void {
    // Several lanes die of one try.
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
