import { describe, expect, it } from 'vitest'
import { Clock } from '../../src/clock.js'
import { SlotPool } from '../../src/threads/slotPool.js'
import { AdmissionQueue } from '../../src/transports/admissionQueue.js'
import { type BudgetOptions, RateLimiter } from '../../src/transports/rateLimiter.js'
import { type BudgetLease, TransportState } from '../../src/transports/transportState.js'

function setUp(capacity: number, budget: BudgetOptions = {}, wake = () => Promise.resolve(0)) {
  const slots = new SlotPool(capacity, 1)
  const queue = new AdmissionQueue(slots, wake)
  const transport = new TransportState(
    { name: 'main', budget, failover: [] },
    { probeDelay: 1_000, maxProbeDelay: 60_000 },
    { opened: () => undefined, closed: () => undefined, slowed: () => undefined },
    (_, rate) => new RateLimiter(rate),
    new Clock(),
  )
  const events: string[] = []
  const started = new Map<string, { slot: number; lease: BudgetLease | undefined }>()
  const add = (id: string, priority = 5, domains = ['example.com']): void =>
    queue.add(transport, {
      id,
      priority,
      domains,
      forBudget: transport.limited,
      start: (slot, lease) => {
        events.push(`start ${id}`)
        started.set(id, { slot, lease })
      },
      postpone: () => events.push(`postpone ${id}`),
    })
  const finish = (id: string): void => {
    const { slot, lease } = started.get(id)!
    lease?.release(undefined)
    slots.release(slot)
    queue.advance()
  }
  return { queue, add, finish, events }
}

describe('AdmissionQueue', () => {
  it('starts the message of the highest priority first, and equal priorities in order of arrival', () => {
    const { add, finish, events, queue } = setUp(1)
    add('first')
    add('low', 1)
    add('second')
    add('high', 9)
    expect(events).toEqual(['start first'])
    expect(queue.size).toBe(3)
    for (const id of ['first', 'high', 'second']) finish(id)
    expect(events).toEqual(['start first', 'start high', 'start second', 'start low'])
    expect(queue.size).toBe(0)
  })

  it('asks a queue that is unavailable once, and lets everything else run before it asks again', async () => {
    let asked = 0
    const wake = async (): Promise<number> => {
      // A loop without an end could not be reported.
      if (++asked > 100) return new Promise<never>(() => undefined)
      throw new Error('The queue is unavailable.')
    }
    const { add, finish } = setUp(1, { rate: 1_000 }, wake)
    add('first')
    finish('first')
    await new Promise((resolve) => setImmediate(resolve))
    expect(asked).toBe(1)
    await expect.poll(() => asked).toBe(2)
  })

  it('lets a message to another domain pass messages to a busy domain', () => {
    const { add, finish, events, queue } = setUp(10, { domainConcurrency: 1 })
    add('a1', 5, ['a.example'])
    add('a2', 5, ['a.example'])
    add('b1', 5, ['b.example'])
    expect(events).toEqual(['start a1', 'start b1'])
    expect(queue.waitingForBudget).toBe(1)
    finish('a1')
    expect(events.at(-1)).toBe('start a2')
    expect(queue.waitingForBudget).toBe(0)
    queue.close()
  })

  it('postpones a cancelled message once, and none that it does not hold', () => {
    const { add, events, queue } = setUp(1)
    add('first')
    add('second')
    expect(queue.cancel('first')).toBe(false)
    expect(queue.cancel('second')).toBe(true)
    expect(queue.cancel('second')).toBe(false)
    expect(events).toEqual(['start first', 'postpone second'])
  })

  it('postpones the lowest priority when a limited transport has no more room', () => {
    const { add, events, queue } = setUp(10, { rate: 1 })
    for (const id of ['1', '2', '3', '4', '5', '6']) add(id, Number(id))
    expect(events).toEqual(['start 1', 'postpone 2'])
    expect(queue.size).toBe(4)
    queue.close()
  })

  it('postpones all messages when it is closed, and those that arrive later', () => {
    const { add, events, queue } = setUp(1)
    add('first')
    add('second')
    queue.close()
    add('third')
    expect(events).toEqual(['start first', 'postpone second', 'postpone third'])
  })
})
