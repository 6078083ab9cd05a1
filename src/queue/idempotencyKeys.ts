import type { MailJob } from '../message/messageState.js'
import { type Due, DueHeap } from '../structures/dueHeap.js'

interface Known extends Due {
  key: string
  id: string
  messageId: string
  fingerprint?: string
}

/** Idempotency keys and whose they are, remembered longer than the messages themselves may be. */
export class IdempotencyKeys {
  readonly #keep: number
  readonly #known = new Map<string, Known>()
  /** By the time each is over: one that is kept for long keeps no other. */
  readonly #byEnd = new DueHeap<Known>()

  /** @param keep milliseconds a key is remembered at least */
  constructor(keep: number) {
    this.#keep = keep
  }

  find(key: string | undefined, now: number): Known | undefined {
    const known = key === undefined ? undefined : this.#known.get(key)
    return known !== undefined && known.dueAt > now ? known : undefined
  }

  remember({ idempotencyKey, id, messageId, fingerprint, acceptedAt, expiresAt }: MailJob): void {
    if (idempotencyKey === undefined) return
    const before = this.#known.get(idempotencyKey)
    if (before !== undefined) this.#byEnd.remove(before)
    const known: Known = {
      key: idempotencyKey,
      id,
      messageId,
      ...(fingerprint === undefined ? {} : { fingerprint }),
      dueAt: keyExpiry(this.#keep, { acceptedAt, expiresAt }),
      heapIndex: -1,
    }
    this.#known.set(idempotencyKey, known)
    this.#byEnd.add(known)
  }

  /** Forgets those that are over. */
  prune(now: number): void {
    for (
      let first = this.#byEnd.peek();
      first !== undefined && first.dueAt <= now;
      first = this.#byEnd.peek()
    ) {
      this.#byEnd.remove(first)
      this.#known.delete(first.key)
    }
  }
}

/** Whether what is known of two mails says that they are not the same. */
export function fingerprintsDiffer(
  one: Pick<MailJob, 'fingerprint'>,
  other: Pick<MailJob, 'fingerprint'>,
): boolean {
  return (
    one.fingerprint !== undefined && other.fingerprint !== undefined && one.fingerprint !== other.fingerprint
  )
}

/** Never shorter than the message itself may wait: a key that is over belongs to a message that has ended. */
export function keyExpiry(
  keep: number,
  { acceptedAt, expiresAt }: Pick<MailJob, 'acceptedAt' | 'expiresAt'>,
): number {
  return Math.max(acceptedAt + keep, expiresAt)
}
