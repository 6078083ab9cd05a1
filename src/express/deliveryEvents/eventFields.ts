import type { DeliveryState, RecipientDeliveryReport } from '../../index.js'

/** A JSON object of a provider, none of whose fields can be relied on. */
export type Json = Record<string, unknown>

export function objectOf(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {}
}

export function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}

/** One or many events, as objects. */
export function eventsIn(value: unknown): Json[] {
  return (Array.isArray(value) ? value : [value]).map(objectOf)
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** A time in seconds, in milliseconds, or as text, in ms since the epoch; undefined if it is none. */
export function timeOf(value: unknown): number | undefined {
  const number = typeof value === 'string' && /^\d+(?:\.\d+)?$/.test(value) ? Number(value) : value
  const time =
    typeof number === 'number'
      ? number < 100_000_000_000
        ? number * 1000
        : number
      : typeof number === 'string'
        ? Date.parse(number)
        : NaN
  return time > 100_000_000_000 && time < 7_000_000_000_000 ? Math.round(time) : undefined
}

interface ReportFields {
  messageId?: string | undefined
  providerId?: string | undefined
  recipient: string | undefined
  state: DeliveryState
  at: unknown
  permanent?: boolean | undefined
  category?: RecipientDeliveryReport['category'] | undefined
  enhanced?: string | undefined
  detail?: string | undefined
  source: string
}

/** A report without the fields that are undefined. */
export function reportOf({ at, enhanced, ...fields }: ReportFields): RecipientDeliveryReport {
  const time = timeOf(at)
  const code = /^[245]\.\d{1,3}\.\d{1,3}$/.exec(enhanced ?? '')?.[0]
  const report: Record<string, unknown> = {}
  for (const key in fields) {
    const value = fields[key as keyof typeof fields]
    if (value !== undefined) report[key] = value
  }
  if (time !== undefined) report['at'] = time
  if (code !== undefined) report['enhanced'] = code
  return report as unknown as RecipientDeliveryReport
}
