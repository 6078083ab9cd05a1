import { ThreadpostError } from '../errors.js'
import type { MailJob } from '../message/messageState.js'
import { addressKey } from '../protocol/addressForms.js'
import type { TransportConfig } from '../protocol/transportConfig.js'

/**
 * Limits of a transport on the reverse-path (RFC 5321 section 4.5.5): a service that sets its own (`fixed`), or one that takes any but
 * the null reverse-path (`not null`).
 */
export type ReversePathLimit = 'fixed' | 'not null'

const OF_KIND: Partial<Record<TransportConfig['kind'], ReversePathLimit>> = {
  sendgrid: 'fixed',
  ses: 'not null',
}

/** Returns the strictest limit of several kinds of transports. */
export function strictestLimit(
  kinds: readonly (TransportConfig['kind'] | undefined)[],
): ReversePathLimit | undefined {
  const limits = kinds.map((kind) => (kind === undefined ? undefined : OF_KIND[kind]))
  return limits.find((limit) => limit === 'fixed') ?? limits.find((limit) => limit !== undefined)
}

/**
 * Refuses a reverse-path that the caller passes and the transport would ignore.
 * @throws ThreadpostError `UNSUPPORTED`
 */
export function refuseReversePath(
  { transport, envelopeFrom, from }: Pick<MailJob, 'transport' | 'envelopeFrom' | 'from'>,
  limit: ReversePathLimit | undefined,
): void {
  if (limit === undefined || (envelopeFrom !== '' && addressKey(envelopeFrom) === addressKey(from.address)))
    return
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
