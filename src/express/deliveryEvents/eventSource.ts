import { createHash, timingSafeEqual } from 'node:crypto'
import type { Request } from 'express'
import type { DeliveryState, RecipientDeliveryReport } from '../../index.js'

/** The content of one request of a provider. */
export interface EventBatch {
  reports: RecipientDeliveryReport[]
  /** Events of other kinds, which say nothing about the delivery. */
  ignored: number
  /** A name under which the request is taken in only once, if the provider gives it one. */
  once?: string
}

/** A provider's way to report events. */
export interface EventSource {
  /**
   * Checks who sent the request, and reads its events.
   * @throws EventsRefused if the request is not from the provider, or can't be read
   */
  read: (request: Request, body: Buffer) => EventBatch | Promise<EventBatch>
}

/** The request is not from the provider, or not readable. Its message is shown to the sender. */
export class EventsRefused extends Error {
  override readonly name = 'EventsRefused'
  readonly code: 'UNAUTHORIZED' | 'MALFORMED_JSON' | 'UNREADABLE_BODY'

  constructor(code: EventsRefused['code'], message: string) {
    super(message)
    this.code = code
  }
}

/** A JSON object of a provider, none of whose fields can be relied on. */
export type Json = Record<string, unknown>

export function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    throw new EventsRefused('MALFORMED_JSON', 'The body is not valid JSON.')
  }
}

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

/** Compares secrets in a time that doesn't depend on them. */
export function sameSecret(given: string, expected: string): boolean {
  const [a, b] = [given, expected].map((text) => createHash('sha256').update(text).digest()) as [
    Buffer,
    Buffer,
  ]
  return timingSafeEqual(a, b)
}

/** The token of a request: of `Authorization: Bearer`, the password of Basic authentication, or the parameter `token`. */
function tokenOf(request: Request): string {
  const header = request.get('Authorization') ?? ''
  const bearer = /^Bearer +(\S+)$/i.exec(header)?.[1]
  if (bearer !== undefined) return bearer
  const basic = basicOf(request)
  if (basic !== undefined) return basic.password
  const { token } = request.query
  return typeof token === 'string' ? token : ''
}

export function basicOf(request: Request): { username: string; password: string } | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/=]+)$/i.exec(request.get('Authorization') ?? '')?.[1]
  if (encoded === undefined) return undefined
  const text = Buffer.from(encoded, 'base64').toString()
  const colon = text.indexOf(':')
  return colon < 0 ? undefined : { username: text.slice(0, colon), password: text.slice(colon + 1) }
}

/** @throws EventsRefused unless the request has the token */
export function requireToken(request: Request, token: string): void {
  if (!sameSecret(tokenOf(request), token))
    throw new EventsRefused('UNAUTHORIZED', 'The token is missing or wrong.')
}

/** Milliseconds by which the clock of a provider may differ, and for which a request may be on its way. */
const TOLERANCE = 10 * 60_000

/** @throws EventsRefused if a signed time is too far from now */
export function requireRecent(time: number | undefined): void {
  if (time === undefined || Math.abs(Date.now() - time) > TOLERANCE)
    throw new EventsRefused(
      'UNAUTHORIZED',
      `The request was signed more than ${TOLERANCE / 60_000} minutes ago, or this server's clock is wrong.`,
    )
}

/** A provider that authenticates with a token and sends one event, or an array of them, as JSON. */
export function eventsWithToken(
  token: string,
  toReport: (event: Json) => RecipientDeliveryReport[],
): EventSource {
  return {
    read: (request, body) => {
      requireToken(request, token)
      const events = eventsIn(parseJson(body))
      const reports = events.flatMap(toReport)
      return { reports, ignored: events.length - reports.length }
    },
  }
}
