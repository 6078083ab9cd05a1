import { describe, expect, it } from 'vitest'
import { settleAll } from '../src/settleAll.js'

describe('settleAll', () => {
  it('runs every step in order and rejects with an AggregateError of all failures', async () => {
    const taken: string[] = []
    const second = new Error('the second')
    const third = new Error('the third')
    const steps = settleAll([
      () => taken.push('first'),
      async () => {
        await Promise.resolve()
        taken.push('second')
        throw second
      },
      () => {
        taken.push('third')
        throw third
      },
      () => taken.push('fourth'),
    ])
    const error: unknown = await steps.catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(AggregateError)
    expect(error).toMatchObject({ message: 'the second; the third', errors: [second, third] })
    expect(taken).toEqual(['first', 'second', 'third', 'fourth'])
  })

  it('rejects with the error itself when only one step fails', async () => {
    const error = Object.assign(new Error('closed'), { code: 'CLOSED' })
    const steps = settleAll([
      () => undefined,
      () => {
        throw error
      },
    ])
    await expect(steps).rejects.toBe(error)
  })

  it('resolves when no step fails', async () => {
    await expect(settleAll([() => undefined, () => Promise.resolve()])).resolves.toBeUndefined()
  })
})
