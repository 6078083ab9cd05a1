import { describe, expect, it } from 'vitest'
import { PhaseBoard } from '../../src/protocol/phaseBoard.js'
import { CancellationRegistry } from '../../src/threads/cancellationRegistry.js'
import type { DeliveryOrder } from '../../src/threads/runner.js'
import { InFlightWindow, SlotPool } from '../../src/threads/slotPool.js'

describe('SlotPool', () => {
  it('never reserves more slots than its capacity allows, and ignores a second release', () => {
    let capacity = 2
    const slots = new SlotPool(3, 1, () => capacity)
    const [first, second] = [slots.reserve(), slots.reserve()]
    expect(slots.reserve()).toBeUndefined()
    expect(slots.used()).toEqual([first, second].sort())
    slots.release(first!)
    slots.release(first!)
    expect(slots.free).toBe(1)
    capacity = 1
    expect(slots.reserve()).toBeUndefined()
    capacity = 3
    expect(slots.free).toBe(2)
  })

  it('passes the slot of a render to the render that waits longest', async () => {
    const slots = new SlotPool(1, 1)
    const slot = await slots.acquireForRender()
    const order: string[] = []
    const second = slots.acquireForRender().then(() => order.push('second'))
    const third = slots.acquireForRender().then(() => order.push('third'))
    slots.releaseForRender(slot)
    await second
    slots.releaseForRender(slot)
    await third
    expect(order).toEqual(['second', 'third'])
    expect(slots.reserve()).toBe(0)
  })
})

describe('InFlightWindow', () => {
  it.each([
    [1, 10, 5],
    [4, 10, 8],
    [9, 10, 13],
    [100, 10, 16],
    [1, 500, 5],
    [9, 500, 8],
    [9, 5_000, 4],
  ])('after %i deliveries ended within %i ms, four at a time may grow to %i', (ends, ms, size) => {
    const window = new InFlightWindow(4)
    window.recordEnd(10_000)
    for (let index = 1; index <= ends; index++) window.recordEnd(10_000 + (index === ends ? ms : 0))
    expect(window.size).toBe(size)
    expect(window.size).toBeLessThanOrEqual(InFlightWindow.maxSize(4))
  })
})

describe('CancellationRegistry', () => {
  const setUp = () => {
    const board = new PhaseBoard(PhaseBoard.allocate(1, 1), 1)
    const generation = board.assign(0)
    const order = { payload: { id: 'a' } } as DeliveryOrder
    return { board, generation, order, registry: new CancellationRegistry(board) }
  }

  it('withdraws an unregistered delivery once', () => {
    const { registry, order } = setUp()
    expect(registry.outcomeIfWithdrawn(order)).toBeUndefined()
    expect(registry.withdraw(order)).toBe(true)
    expect(registry.withdraw(order)).toBe(false)
    expect(registry.outcomeIfWithdrawn(order)).toMatchObject({ result: 'withdrawn', code: 'CANCELLED' })
  })

  it('keeps the thread from committing a registered delivery that was withdrawn', () => {
    const { registry, order, board, generation } = setUp()
    registry.register(order, 0, generation)
    expect(registry.withdraw(order)).toBe(true)
    expect(board.commit(0, generation)).toBe(false)
  })

  it('does not withdraw a delivery whose thread committed first, until the thread releases it', () => {
    const { registry, order, board, generation } = setUp()
    registry.register(order, 0, generation)
    expect(board.commit(0, generation)).toBe(true)
    expect(registry.withdraw(order)).toBe(false)
    expect(registry.outcomeIfWithdrawn(order)).toBeUndefined()
    board.release(0, generation)
    expect(registry.withdraw(order)).toBe(true)
  })
})
