import type { Validator } from '../validation.js'

/** The most messages that a transport sends in an hour and in a day, for all processes on the queue together. */
export interface QuotaOptions {
  /** Messages in each hour of the clock. @default unlimited */
  perHour?: number
  /** Messages in each day, in UTC. @default unlimited */
  perDay?: number
}

/** Daily volumes that rise by the same factor each day, for an IP address or a domain that receivers don't know yet. */
export interface WarmUpOptions {
  /** Messages on the first day: the day (UTC) on which the transport sends its first message. */
  from: number
  /** Messages on the last day. */
  to: number
  /** Number of days; after them, the warm-up limits nothing. */
  days: number
}

/** The limits of the number of messages in an hour or a day. */
export interface VolumeOptions {
  quota?: QuotaOptions
  warmUp?: WarmUpOptions
}

const MAX_QUOTA = 1_000_000_000

export function resolveQuota(check: Validator, value: unknown, path: string): QuotaOptions {
  const { perHour, perDay } = check.object(value, path, ['perHour', 'perDay'])
  if (perHour === undefined && perDay === undefined) check.fail(path, 'needs perHour or perDay')
  const quota: QuotaOptions = {}
  if (perHour !== undefined) quota.perHour = check.integer(perHour, `${path}.perHour`, 1, MAX_QUOTA)
  if (perDay !== undefined) quota.perDay = check.integer(perDay, `${path}.perDay`, 1, MAX_QUOTA)
  return quota
}

export function resolveWarmUp(check: Validator, value: unknown, path: string): WarmUpOptions {
  const given = check.object(value, path, ['from', 'to', 'days'])
  const from = check.integer(given['from'], `${path}.from`, 1, MAX_QUOTA)
  const to = check.integer(given['to'], `${path}.to`, from, MAX_QUOTA)
  return { from, to, days: check.integer(given['days'], `${path}.days`, 1, 365) }
}

/** Returns the messages of a day of a warm-up, from 0; `Infinity` after it. */
export function warmUpLimit({ from, to, days }: WarmUpOptions, day: number): number {
  if (day >= days) return Infinity
  return days === 1 ? to : Math.round(from * (to / from) ** (Math.max(0, day) / (days - 1)))
}
