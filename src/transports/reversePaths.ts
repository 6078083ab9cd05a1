import { ThreadpostError } from '../errors.js'
import { addressKey } from '../protocol/addressForms.js'
import type { ResolvedTransport } from './transportOptions.js'

/**
 * Limits of a transport on the reverse-path (RFC 5321 section 4.5.5): a service that sets its own (`fixed`), or one that takes any but
 * the null reverse-path (`not null`).
 */
export type ReversePathLimit = 'fixed' | 'not null'

const OF_KIND: Partial<Record<ResolvedTransport['config']['kind'], ReversePathLimit>> = {
  sendgrid: 'fixed',
  ses: 'not null',
}

/** Returns the limit of each transport that has one, itself or in a transport that it fails over to. */
export function reversePathLimits(
  transports: readonly ResolvedTransport[],
): ReadonlyMap<string, ReversePathLimit> {
  const own = new Map(transports.map(({ name, config }) => [name, OF_KIND[config.kind]]))
  const limits = new Map<string, ReversePathLimit>()
  for (const { name, failover } of transports) {
    const all = [name, ...failover].map((each) => own.get(each))
    const strictest = all.find((limit) => limit === 'fixed') ?? all.find((limit) => limit !== undefined)
    if (strictest !== undefined) limits.set(name, strictest)
  }
  return limits
}

/**
 * Refuses a reverse-path that the caller passes and the transport would ignore.
 * @throws ThreadpostError `UNSUPPORTED`
 */
export function refuseReversePath(
  transport: string,
  limit: ReversePathLimit | undefined,
  envelopeFrom: string,
  from: string,
): void {
  if (limit === undefined || (envelopeFrom !== '' && addressKey(envelopeFrom) === addressKey(from))) return
  if (limit === 'not null' && envelopeFrom !== '') return
  const reason =
    limit === 'fixed'
      ? 'belongs to a service that sets the reverse-path itself; leave envelope.from out'
      : 'belongs to a service that has no null reverse-path; pass an address'
  throw new ThreadpostError(
    'UNSUPPORTED',
    `envelope.from: the transport '${transport}', or its failover, ${reason}, or send over SMTP`,
    { path: 'envelope.from' },
  )
}
