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
const standing: RetryContext = {
  policy,
  onUncertain: 'retry',
  counted: 1,
  tries: 1,
  sent: 0,
  failed: 0,
  open: 1,
}

describe('decide', () => {
  it('settles when no recipient is open', () => {
    const none = { ...standing, open: 0 }
    expect(decideRetry(outcomeOf('sent'), { ...none, sent: 2 }, 0, 0).status).toBe('sent')
    expect(decideRetry(outcomeOf('sent'), { ...none, sent: 1, failed: 1 }, 0, 0).status).toBe('partial')
    expect(decideRetry(outcomeOf('rejected'), { ...none, failed: 1 }, 0, 0).status).toBe('failed')
  })

  it('waits longer each time, up to the longest delay', () => {
    const delays = [1, 2, 3, 4, 5, 6, 7, 8].map((tries) => {
      const verdict = decideRetry(
        outcomeOf('deferred'),
        { ...standing, tries, policy: { ...policy, jitter: 'none' } },
        0,
        0.5,
      )
      return verdict.status === 'deferred' ? verdict.nextAttemptAt : undefined
    })
    expect(delays).toEqual([5_000, 20_000, 80_000, 320_000, 1_280_000, 5_120_000, 20_480_000, 21_600_000])
  })

  it('spreads the delay over its whole length', () => {
    for (const random of [0, 0.25, 0.999])
      expect(decideRetry(outcomeOf('deferred'), standing, 1_000, random)).toEqual({
        status: 'deferred',
        nextAttemptAt: 1_000 + Math.round(5_000 * random),
      })
  })

  it('gives up after the last attempt that counts', () => {
    expect(decideRetry(outcomeOf('deferred'), { ...standing, counted: 10 }, 0, 0).status).toBe('failed')
    expect(decideRetry(outcomeOf('deferred'), { ...standing, counted: 10, sent: 1 }, 0, 0).status).toBe(
      'partial',
    )
    expect(decideRetry(outcomeOf('deferred'), { ...standing, counted: 9, tries: 500 }, 0, 0).status).toBe(
      'deferred',
    )
  })

  it('holds what is uncertain where that is wished', () => {
    expect(decideRetry(outcomeOf('uncertain'), { ...standing, onUncertain: 'hold' }, 0, 0)).toEqual({
      status: 'held',
      reason: 'uncertain',
    })
    expect(decideRetry(outcomeOf('uncertain'), standing, 0, 0).status).toBe('deferred')
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
          const verdict = decideRetry(outcomeOf(result), { ...standing, ...counts }, 1_000, random)
          if (verdict.status === 'deferred') {
            expect(counts.open).toBeGreaterThan(0)
            expect(verdict.nextAttemptAt).toBeGreaterThanOrEqual(1_000)
            expect(verdict.nextAttemptAt).toBeLessThanOrEqual(1_000 + policy.maxDelay)
          }
          if (counts.open === 0) expect(['sent', 'partial', 'failed']).toContain(verdict.status)
        },
      ),
    )
  })
})
