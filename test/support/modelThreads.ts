import type { Outcome } from '../../src/protocol/outcome.js'
import type { DeliveryOrder, Runner } from '../../src/threads/runner.js'
import { InFlightWindow, SlotPool } from '../../src/threads/slotPool.js'
import { DisabledRunner } from '../../src/threads/threadlessRunners.js'
import type { VirtualTime } from './virtualTime.js'

/** The course of the deliveries of a {@link modelThreads}. */
export interface Observed {
  /** When the server saw each envelope and each final dot, by transport. */
  envelopes: Map<string, number[]>
  dots: Map<string, number[]>
  underWay: Set<DeliveryOrder>
  /** Orders that came with a slot that another delivery had at the time, or beyond the slots there are. */
  broken: string[]
}

/**
 * Threads and a server on virtual time: they work on while the main thread's loop is blocked, and are heard when it is not. Slots
 * and their number are the real ones.
 * @param capacity deliveries that can be under way
 * @param transaction ms it takes about
 * @param random from 0 to 1, for how long each step takes
 */
export function modelThreads(
  time: VirtualTime,
  capacity: number,
  transaction: number,
  random: () => number,
  answer: (order: DeliveryOrder) => Partial<Outcome> = () => ({}),
): { runner: Runner; observed: Observed } {
  const observed: Observed = {
    envelopes: new Map(),
    dots: new Map(),
    underWay: new Set(),
    broken: [],
  }
  const window = new InFlightWindow(capacity)
  const board = InFlightWindow.maxSize(capacity)
  const slots = new SlotPool(board, 1, () => window.size)
  const deliver = async (order: DeliveryOrder) => {
    if ([...observed.underWay].some(({ slot }) => slot === order.slot))
      observed.broken.push(`slot ${order.slot} twice`)
    if (order.slot < 0 || order.slot >= board) observed.broken.push(`slot ${order.slot} of ${board}`)
    observed.underWay.add(order)
    if (observed.underWay.size > slots.capacity)
      observed.broken.push(`${observed.underWay.size} under way in ${slots.capacity} slots`)
    const ready = time.now + 1 + random() * 5
    const envelope = Math.max(ready, order.notBefore ?? 0)
    const took = transaction * (0.5 + random())
    const dot = envelope + took
    note(observed.envelopes, order.transport, envelope)
    note(observed.dots, order.transport, dot)
    await new Promise<void>((resolve) => time.at(dot, resolve))
    observed.underWay.delete(order)
    window.recordEnd(time.now)
    const outcome = {
      result: 'sent',
      code: 'OK',
      message: 'taken',
      phase: 'replied',
      recipients: [],
      timings: { transaction: took },
      thread: 1,
      endedAt: dot,
      ...answer(order),
    } as Outcome
    return { died: false as const, outcome }
  }
  return {
    runner: Object.assign(new DisabledRunner(undefined, () => undefined), { slots, deliver }),
    observed,
  }
}

function note(times: Map<string, number[]>, transport: string, time: number): void {
  const known = times.get(transport)
  if (known === undefined) times.set(transport, [time])
  else known.push(time)
}
