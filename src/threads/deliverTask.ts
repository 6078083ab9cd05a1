import { type DeliverTask, sharedClock } from '../protocol/tasks.js'
import type { DeliveryOrder } from './runner.js'

/** Returns what a thread gets of an order. */
export function taskOf(order: DeliveryOrder, generation: number): DeliverTask {
  const { slot, payload, recipients, scope = '', attempt, expiresAt } = order
  const task: DeliverTask = {
    payload,
    recipients,
    transport: `${scope}${order.transport}`,
    attempt,
    expiresAt,
    slot,
    generation,
    handedOverAt: sharedClock(),
  }
  const { uncertain, note, notBefore } = order
  if (uncertain !== undefined) task.uncertain = uncertain
  if (note !== undefined) task.note = note
  if (notBefore !== undefined) task.notBefore = notBefore
  return task
}

/** Returns the size of the message's attachments. */
export function attachedBytes({ payload }: DeliveryOrder): number {
  return payload.attachments.reduce((sum, { size }) => sum + size, 0)
}
