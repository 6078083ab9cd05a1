import type { MailJob } from '../record.js'

interface Known {
  id: string
  messageId: string
  fingerprint: string | undefined
  /** Milliseconds since the epoch. */
  until: number
}

/** Idempotency keys and whose they are, remembered longer than the messages themselves may be. */
export class Keys {
  readonly #keep: number
  readonly #known = new Map<string, Known>()

  /** @param keep milliseconds a key is remembered at least */
  constructor(keep: number) {
    this.#keep = keep
  }

  find(key: string | undefined, now: number): Known | undefined {
    const known = key === undefined ? undefined : this.#known.get(key)
    return known !== undefined && known.until > now ? known : undefined
  }

  remember({ idempotencyKey, id, messageId, fingerprint, acceptedAt, expiresAt }: MailJob): void {
    if (idempotencyKey === undefined) return
    // Put anew, so that the oldest stay in front.
    this.#known.delete(idempotencyKey)
    this.#known.set(idempotencyKey, {
      id,
      messageId,
      fingerprint,
      until: keptUntil(this.#keep, { acceptedAt, expiresAt }),
    })
  }

  /** Forgets the oldest that are over. */
  forget(now: number): void {
    for (const [key, { until }] of this.#known) {
      if (until > now) return
      this.#known.delete(key)
    }
  }
}

/** Never shorter than the message itself may wait: a key that is over belongs to a message that has ended. */
export function keptUntil(
  keep: number,
  { acceptedAt, expiresAt }: Pick<MailJob, 'acceptedAt' | 'expiresAt'>,
): number {
  return Math.max(acceptedAt + keep, expiresAt)
}
