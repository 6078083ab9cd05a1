import { ThreadpostError } from '../errors.js'
import type { MessageState, Settlement } from '../message/messageState.js'

/** Milliseconds after which a message that can't be decrypted is tried again: a process with the key may have started. */
const RECHECK = 60_000

/** A message that none of the keys decrypts: it is kept as it is, and is neither delivered nor settled. */
export function unreadable(id: string): ThreadpostError {
  return new ThreadpostError(
    'UNREADABLE',
    `Message ${id} can't be decrypted: add the key with which it was encrypted to queue.encryption.keys`,
  )
}

/** Defers a message that can't be decrypted. */
export function unreadableSettlement(
  { recipients }: Readonly<MessageState>,
  now: number,
): Promise<Settlement> {
  return Promise.resolve({ decision: { status: 'deferred', nextAttemptAt: now + RECHECK }, recipients })
}
