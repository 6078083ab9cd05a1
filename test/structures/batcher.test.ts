import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { Batcher, RequestBatcher } from '../../src/structures/batcher.js'

describe('Batcher', () => {
  it('calls ready once per turn of the event loop, with everything added in that turn', async () => {
    const batches: number[][] = []
    const batcher = new Batcher<number>(() => batches.push(batcher.take()))
    batcher.add(1)
    batcher.add(2)
    await Promise.resolve().then(() => batcher.add(3))
    expect(batches).toEqual([])
    await nextTurn()
    expect(batches).toEqual([[1, 2, 3]])
    batcher.add(4)
    await nextTurn()
    await nextTurn()
    expect(batches).toEqual([[1, 2, 3], [4]])
  })

  it('keeps items that were not taken, and reports them again with the next one', async () => {
    const sizes: number[] = []
    const batcher = new Batcher<number>(() => sizes.push(batcher.size))
    batcher.add(1)
    await nextTurn()
    batcher.add(2)
    await nextTurn()
    expect(sizes).toEqual([1, 2])
    expect(batcher.take()).toEqual([1, 2])
    expect(batcher.size).toBe(0)
  })

  it('collects items that ready adds for the following turn', async () => {
    const batches: number[][] = []
    const batcher = new Batcher<number>(() => {
      batches.push(batcher.take())
      if (batches.length < 3) batcher.add(batches.length)
    })
    batcher.add(0)
    for (let turn = 0; turn < 4; turn++) await nextTurn()
    expect(batches).toEqual([[0], [1], [2]])
  })
})

describe('RequestBatcher', () => {
  it.each([
    { requests: 1, maxBatch: 2, batches: [1] },
    { requests: 2, maxBatch: 2, batches: [2] },
    { requests: 5, maxBatch: 2, batches: [2, 2, 1] },
    { requests: 3, maxBatch: 50, batches: [3] },
  ])(
    'runs $requests requests of one turn in batches of $batches',
    async ({ requests, maxBatch, batches }) => {
      const sizes: number[] = []
      const batcher = new RequestBatcher<number, number>(maxBatch, (batch) => {
        sizes.push(batch.length)
        return Promise.resolve(batch.map((request) => request * 10))
      })
      const numbers = Array.from({ length: requests }, (_, index) => index)
      const replies = await Promise.all(numbers.map((number) => batcher.request(number)))
      expect(replies).toEqual(numbers.map((number) => number * 10))
      expect(sizes).toEqual(batches)
    },
  )

  it('rejects only the requests of the command that failed', async () => {
    const batcher = new RequestBatcher<number, number>(2, (batch) =>
      batch.includes(3) ? Promise.reject(new Error('down')) : Promise.resolve(batch),
    )
    const results = await Promise.allSettled([1, 2, 3, 4, 5].map((number) => batcher.request(number)))
    expect(results.map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'rejected',
      'fulfilled',
    ])
  })
})
