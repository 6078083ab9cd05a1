import { openRecipients } from '../message/messageState.js'
import type { QueuedMessage } from '../queue/driver.js'
import type { DeliveryOrder } from '../threads/runner.js'
import type { LoadStep } from './loadStep.js'

/**
 * Returns what a thread needs for the next attempt of a message.
 * @param notBefore the earliest time to send it, on `sharedClock()`
 */
export function orderOf(
  { state, journalSlot }: QueuedMessage,
  load: LoadStep,
  transport: string,
  slot: number,
  notBefore: number | undefined,
): DeliveryOrder {
  const order: DeliveryOrder = {
    payload: load.payload(),
    recipients: openRecipients(state),
    transport,
    expiresAt: state.expiresAt,
    attempt: state.attempts.length + 1,
    slot,
    bagIndex: -1,
    claim: undefined,
  }
  if (state.uncertain) order.uncertain = true
  if (journalSlot !== undefined) order.note = journalSlot
  if (notBefore !== undefined) order.notBefore = notBefore
  return order
}
