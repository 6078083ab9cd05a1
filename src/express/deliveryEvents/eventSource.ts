import { createHash, timingSafeEqual } from 'node:crypto'
import type { Request } from 'express'
import type { RecipientDeliveryReport } from '../../index.js'
import { parseJson } from '../../protocol/parseJson.js'
import { eventsIn, type Json } from './eventFields.js'

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

export function parseEvents(body: Buffer): unknown {
  try {
    return parseJson(body.toString('utf8'))
  } catch (error) {
    throw new EventsRefused('MALFORMED_JSON', `The body is not valid JSON: ${(error as Error).message}.`)
  }
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

/** @throws EventsRefused unless the signature of the request is right */
export function requireSignature(right: boolean): void {
  if (!right) throw new EventsRefused('UNAUTHORIZED', 'The signature of the request is missing or wrong.')
}

/** The content of a body with one event, or an array of them, as JSON. @param toReport returns no report for an event of another kind */
export function batchOf(body: Buffer, toReport: (event: Json) => RecipientDeliveryReport[]): EventBatch {
  const events = eventsIn(parseEvents(body))
  const reports = events.flatMap(toReport)
  return { reports, ignored: events.length - reports.length }
}

/** A provider that authenticates with a token. */
export function eventsWithToken(
  token: string,
  toReport: (event: Json) => RecipientDeliveryReport[],
): EventSource {
  return {
    read: (request, body) => {
      requireToken(request, token)
      return batchOf(body, toReport)
    },
  }
}
