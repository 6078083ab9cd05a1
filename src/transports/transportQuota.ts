import type { Clock } from '../clock.js'
import type { RecordChange, RecordRange, SharedRecords } from '../queue/records.js'
import { RequestBatcher } from '../structures/batcher.js'
import { type QuotaOptions, type VolumeOptions, warmUpLimit, type WarmUpOptions } from './quotaOptions.js'

/** Creates the quota of a transport that has one, or a warm-up. */
export type Quotas = (transport: string, volume: VolumeOptions) => TransportQuota

/** How much of a limit is used, as this process knows it. */
export interface QuotaUse {
  /** Messages that may be sent in the hour or day. */
  limit: number
  /** Messages that were sent or are being sent, in all processes. */
  used: number
}

/** The use of a transport's quota and warm-up. */
export interface QuotaStatus {
  hour?: QuotaUse
  day?: QuotaUse
  /** The day of the warm-up, from 1, while it lasts. */
  warmUpDay?: number
}

const HOUR = 3_600_000
const DAY = 24 * HOUR
/** Messages in one request for places, at most. */
const MAX_BATCH = 500
/** Milliseconds after which a full hour or day is looked at again: another process may have given places back. */
const RECHECK = 60_000
/** Milliseconds until the next attempt after the queue did not answer. */
const UNAVAILABLE_DELAY = 1_000
/** Lines of waiting messages that are told apart, at most. */
const MAX_LINES = 10_000
/** A transport that has sent nothing for so long is warmed up again. */
const FORGET_WARM_UP = 400 * DAY

/** An hour or a day, and what may be sent in it. */
interface Window {
  kind: 'hour' | 'day'
  /** Key of the record that counts its messages. */
  key: string
  start: number
  length: number
  limit: number
}

/** A message's place in the quota: the records that count it. */
type Place = readonly Window[]

/** The line in which a message waits for the quota: messages of other lines don't delay it. */
export interface QuotaLine {
  priority: number
  group?: string | undefined
}

/**
 * The quota and warm-up of one transport, counted in records of the queue: for all processes together, and as durably as messages.
 *
 * A message takes a place before it is delivered. Places are taken by adding to the count first and reading it then: what is above
 * the limit is given back. So two processes may both give back, but never exceed the limit together. A message that was certainly
 * not sent gives its place back; the places of a process that dies stay taken.
 */
export class TransportQuota {
  readonly #name: string
  readonly #quota: QuotaOptions
  readonly #warmUp: WarmUpOptions | undefined
  readonly #records: SharedRecords
  readonly #clock: Clock
  readonly #takes: RequestBatcher<undefined, Place | undefined>
  readonly #returns: RequestBatcher<Place, undefined>
  /** The window that was full when it was last read, and the time until which that is assumed. */
  #full: { window: Window; until: number } | undefined
  /** Messages of each window that are known to be taken. */
  #used = new Map<string, number>()
  /** The day of the first message, in days since the epoch, and the day on which it was read. */
  #warmUpStart: { day: number; readOn: number } | undefined
  /** The next time for a message of each line, and how many are due then. */
  readonly #lines = new Map<string, { at: number; count: number }>()
  /** The last time that was read. */
  #latest = 0

  constructor(name: string, { quota = {}, warmUp }: VolumeOptions, records: SharedRecords, clock: Clock) {
    this.#name = encodeURIComponent(name)
    this.#quota = quota
    this.#warmUp = warmUp
    this.#records = records
    this.#clock = clock
    this.#takes = new RequestBatcher(MAX_BATCH, (requests) => this.#take(requests.length), 1)
    this.#returns = new RequestBatcher(MAX_BATCH, (places) => this.#giveBack(places))
  }

  /**
   * Delivers a message if the quota has a place for it.
   * @param isSpent whether the message was sent with this result, or may have been
   * @returns the result; or when the message is due again, in ms since the epoch
   */
  async within<T>(
    line: QuotaLine,
    deliver: () => Promise<T>,
    isSpent: (result: T) => boolean,
  ): Promise<T | number> {
    const now = this.#now()
    if (this.#fullAt(now) !== undefined) return this.#dueFor(line, now)
    let place: Place | undefined
    try {
      place = await this.#takes.request(undefined)
    } catch {
      return now + UNAVAILABLE_DELAY
    }
    if (place === undefined) return this.#dueFor(line, this.#now())
    const result = await deliver()
    // If the queue is away, the place stays taken.
    if (!isSpent(result)) await this.#returns.request(place).catch(() => undefined)
    return result
  }

  /** Messages that may find a place now, as far as this process knows. */
  get room(): number {
    const now = this.#now()
    if (this.#fullAt(now) !== undefined) return 0
    return Math.min(
      ...this.#windows(now).map(({ key, limit }) => limit - (this.#used.get(key) ?? 0)),
      Infinity,
    )
  }

  get status(): QuotaStatus {
    const now = this.#now()
    const status: QuotaStatus = {}
    for (const { kind, key, limit } of this.#windows(now))
      status[kind] = { limit, used: Math.min(limit, this.#used.get(key) ?? 0) }
    const day = this.#warmUpDay(now)
    if (day < (this.#warmUp?.days ?? 0)) status.warmUpDay = day + 1
    return status
  }

  async #take(wanted: number): Promise<(Place | undefined)[]> {
    const now = this.#now()
    await this.#readWarmUp(now)
    const windows = this.#windows(now)
    const granted = Math.max(
      0,
      Math.min(wanted, ...(await this.#count(windows, wanted)).map((over) => wanted - over)),
    )
    const refused = wanted - granted
    if (refused > 0) await this.#count(windows, -refused)
    const full = windows.filter(({ key, limit }) => (this.#used.get(key) ?? 0) >= limit)
    const window = full.at(-1)
    if (window !== undefined)
      this.#full = { window, until: Math.min(window.start + window.length, now + RECHECK) }
    return Array.from({ length: wanted }, (_, nth) => (nth < granted ? windows : undefined))
  }

  /** Adds to the count of each window, and reads it. @returns by how much each is above its limit */
  async #count(windows: readonly Window[], amount: number): Promise<number[]> {
    if (windows.length === 0) return []
    const changes = windows.map(({ key, start, length }): RecordChange => ({
      key,
      keepUntil: start + 2 * length,
      add: { taken: amount },
    }))
    await this.#records.write(changes)
    const found = await this.#records.read(windows.map(({ key }) => only(key)))
    this.#used = new Map(windows.map(({ key }, index) => [key, found[index]?.[0]?.numbers['taken'] ?? 0]))
    return windows.map(({ key, limit }) => Math.max(0, (this.#used.get(key) ?? 0) - limit))
  }

  async #giveBack(places: readonly Place[]): Promise<undefined[]> {
    const windows = new Map<string, { window: Window; count: number }>()
    for (const window of places.flat())
      windows.set(window.key, { window, count: 1 + (windows.get(window.key)?.count ?? 0) })
    await this.#records.write(
      [...windows.values()].map(({ window: { key, start, length }, count }) => ({
        key,
        keepUntil: start + 2 * length,
        add: { taken: -count },
      })),
    )
    for (const [key, { count }] of windows) this.#used.set(key, (this.#used.get(key) ?? count) - count)
    this.#full = undefined
    return places.map(() => undefined)
  }

  /** The hour and the day, as far as they are limited. */
  #windows(now: number): Window[] {
    const { perHour, perDay = Infinity } = this.#quota
    const windows: Window[] = []
    const add = (kind: 'hour' | 'day', length: number, limit: number): void => {
      const number = Math.floor(now / length)
      windows.push({
        kind,
        key: `quota:${this.#name}:${kind}:${number}`,
        start: number * length,
        length,
        limit,
      })
    }
    if (perHour !== undefined) add('hour', HOUR, perHour)
    const limit = Math.min(
      perDay,
      this.#warmUp === undefined ? Infinity : warmUpLimit(this.#warmUp, this.#warmUpDay(now)),
    )
    if (limit < Infinity) add('day', DAY, limit)
    return windows
  }

  #warmUpDay(now: number): number {
    const today = Math.floor(now / DAY)
    return today - (this.#warmUpStart?.day ?? today)
  }

  /** Reads, once a day, when the warm-up began: with the first message. */
  async #readWarmUp(now: number): Promise<void> {
    const today = Math.floor(now / DAY)
    if (this.#warmUp === undefined || this.#warmUpStart?.readOn === today) return
    const key = `quota:${this.#name}:began`
    // The earliest day counts: numbers can only be raised.
    await this.#records.write([{ key, keepUntil: now + FORGET_WARM_UP, raise: { day: -today } }])
    const [found] = await this.#records.read([only(key)])
    this.#warmUpStart = { day: -(found?.[0]?.numbers['day'] ?? -today), readOn: today }
  }

  /** Returns the time. If it was set back, what was known of later times is forgotten: messages would wait for those. */
  #now(): number {
    const now = this.#clock.now()
    if (now < this.#latest) {
      this.#full = undefined
      this.#lines.clear()
    }
    return (this.#latest = now)
  }

  #fullAt(now: number): Window | undefined {
    return this.#full !== undefined && now < this.#full.until ? this.#full.window : undefined
  }

  /**
   * Returns when a message is due again that found no place: in the next hour or day, or in a later one if as many messages of its
   * line as that may send are due before. A line has one priority and one group, so that neither waits behind another.
   */
  #dueFor({ priority, group = '' }: QuotaLine, now: number): number {
    const { start, length, limit } = this.#full?.window ??
      this.#windows(now)[0] ?? { start: now, length: HOUR, limit: 1 }
    const next = Math.max(start + length, now)
    const line = `${priority} ${group}`
    let due = this.#lines.get(line)
    if (due === undefined || due.at < next) due = { at: next, count: 0 }
    if (due.count >= limit) due = { at: due.at + length, count: 0 }
    due.count++
    if (this.#lines.size >= MAX_LINES) this.#lines.clear()
    this.#lines.set(line, due)
    return due.at
  }
}

/** Creates quotas that are counted in a queue's records. */
export function quotasIn(records: SharedRecords, clock: Clock): Quotas {
  return (transport, volume) => new TransportQuota(transport, volume, records, clock)
}

/** The range of one record. */
const only = (key: string): RecordRange => ({ from: key, to: `${key}\0`, limit: 1 })
