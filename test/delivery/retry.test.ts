import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decideRetry, type RetryPolicy, type RetryContext } from '../../src/delivery/retry.js'
import { outcomeOf } from '../support/queueSuite/jobs.js'

const policy: RetryPolicy = {
  attempts: 10,
  baseDelay: 5_000,
  factor: 4,
  maxDelay: 21_600_000,
  jitter: 'full',
}
const context: RetryContext = {
  policy,
  onUncertain: 'retry',
  counted: 1,
  tries: 1,
  sent: 0,
  failed: 0,
  open: 1,
}

describe('decideRetry', () => {
  it('settles when no recipient is open', () => {
    const none = { ...context, open: 0 }
    expect(decideRetry(outcomeOf('sent'), { ...none, sent: 2 }, 0, 0).status).toBe('sent')
    expect(decideRetry(outcomeOf('sent'), { ...none, sent: 1, failed: 1 }, 0, 0).status).toBe('partial')
    expect(decideRetry(outcomeOf('rejected'), { ...none, failed: 1 }, 0, 0).status).toBe('failed')
  })

  it('waits longer each time, up to the longest delay', () => {
    const delays = [1, 2, 3, 4, 5, 6, 7, 8].map((tries) => {
      const decision = decideRetry(
        outcomeOf('deferred'),
        { ...context, tries, policy: { ...policy, jitter: 'none' } },
        0,
        0.5,
      )
      return decision.status === 'deferred' ? decision.nextAttemptAt : undefined
    })
    expect(delays).toEqual([5_000, 20_000, 80_000, 320_000, 1_280_000, 5_120_000, 20_480_000, 21_600_000])
  })

  it('spreads the delay over its whole length', () => {
    for (const random of [0, 0.25, 0.999])
      expect(decideRetry(outcomeOf('deferred'), context, 1_000, random)).toEqual({
        status: 'deferred',
        nextAttemptAt: 1_000 + Math.round(5_000 * random),
      })
  })

  it('gives up after the last attempt that counts', () => {
    expect(decideRetry(outcomeOf('deferred'), { ...context, counted: 10 }, 0, 0).status).toBe('failed')
    expect(decideRetry(outcomeOf('deferred'), { ...context, counted: 10, sent: 1 }, 0, 0).status).toBe(
      'partial',
    )
    expect(decideRetry(outcomeOf('deferred'), { ...context, counted: 9, tries: 500 }, 0, 0).status).toBe(
      'deferred',
    )
  })

  it('holds an uncertain message only if onUncertain is hold', () => {
    expect(decideRetry(outcomeOf('uncertain'), { ...context, onUncertain: 'hold' }, 0, 0)).toEqual({
      status: 'held',
      reason: 'uncertain',
    })
    expect(decideRetry(outcomeOf('uncertain'), context, 0, 0).status).toBe('deferred')
  })

  it('never plans an attempt in the past or beyond the longest delay, and is settled when nothing is open', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('sent', 'rejected', 'deferred', 'uncertain' as const),
        fc.record({
          counted: fc.integer({ min: 0, max: 20 }),
          tries: fc.integer({ min: 1, max: 1e6 }),
          sent: fc.nat(3),
          failed: fc.nat(3),
          open: fc.nat(3),
        }),
        fc.double({ min: 0, max: 0.999999, noNaN: true }),
        (result, counts, random) => {
          const decision = decideRetry(outcomeOf(result), { ...context, ...counts }, 1_000, random)
          if (decision.status === 'deferred') {
            expect(counts.open).toBeGreaterThan(0)
            expect(decision.nextAttemptAt).toBeGreaterThanOrEqual(1_000)
            expect(decision.nextAttemptAt).toBeLessThanOrEqual(1_000 + policy.maxDelay)
          }
          if (counts.open === 0) expect(['sent', 'partial', 'failed']).toContain(decision.status)
        },
      ),
    )
  })
})
