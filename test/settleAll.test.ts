import { expect, it } from 'vitest'
import { settleAll } from '../src/settleAll.js'

it('takes every step, and tells of the first that failed', async () => {
  const taken: string[] = []
  const steps = settleAll([
    () => taken.push('first'),
    async () => {
      await Promise.resolve()
      taken.push('second')
      throw new Error('the second')
    },
    () => {
      taken.push('third')
      throw new Error('the third')
    },
    () => taken.push('fourth'),
  ])
  await expect(steps).rejects.toThrow('the second')
  expect(taken).toEqual(['first', 'second', 'third', 'fourth'])
})
