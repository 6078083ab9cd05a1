import type { MailJob } from '../../message/messageState.js'
import { type Due, DueHeap } from '../../structures/dueHeap.js'
import { keyExpiry } from '../rowCodec.js'

interface RememberedKey extends Due {
  key: string
  id: string
  messageId: string
  fingerprint?: string
}

/** Maps idempotency keys to messages, and remembers them even when the messages themselves are no longer kept. */
export class IdempotencyKeys {
  readonly #keep: number
  readonly #known = new Map<string, RememberedKey>()
  /** Ordered by expiry, so that a key with a long lifetime doesn't delay the removal of others. */
  readonly #byExpiry = new DueHeap<RememberedKey>()

  /** @param keep minimum time in ms for which a key is remembered */
  constructor(keep: number) {
    this.#keep = keep
  }

  find(key: string | undefined, now: number): RememberedKey | undefined {
    const known = key === undefined ? undefined : this.#known.get(key)
    return known !== undefined && known.dueAt > now ? known : undefined
  }

  remember({ idempotencyKey, id, messageId, fingerprint, acceptedAt, expiresAt }: MailJob): void {
    if (idempotencyKey === undefined) return
    const previous = this.#known.get(idempotencyKey)
    if (previous !== undefined) this.#byExpiry.remove(previous)
    const known: RememberedKey = {
      key: idempotencyKey,
      id,
      messageId,
      ...(fingerprint === undefined ? {} : { fingerprint }),
      dueAt: keyExpiry(this.#keep, { acceptedAt, expiresAt }),
      heapIndex: -1,
    }
    this.#known.set(idempotencyKey, known)
    this.#byExpiry.add(known)
  }

  /** Forgets the key of a message. */
  forget({ idempotencyKey, id }: Pick<MailJob, 'idempotencyKey' | 'id'>): void {
    const known = idempotencyKey === undefined ? undefined : this.#known.get(idempotencyKey)
    if (known?.id !== id) return
    this.#byExpiry.remove(known)
    this.#known.delete(known.key)
  }

  /** Removes expired keys. */
  prune(now: number): void {
    for (
      let first = this.#byExpiry.peek();
      first !== undefined && first.dueAt <= now;
      first = this.#byExpiry.peek()
    ) {
      this.#byExpiry.remove(first)
      this.#known.delete(first.key)
    }
  }
}

/** Whether two mails certainly have different content: both have a fingerprint, and these differ. */
export function fingerprintsDiffer(
  one: Pick<MailJob, 'fingerprint'>,
  other: Pick<MailJob, 'fingerprint'>,
): boolean {
  return (
    one.fingerprint !== undefined && other.fingerprint !== undefined && one.fingerprint !== other.fingerprint
  )
}
