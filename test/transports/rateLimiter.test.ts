import { afterEach, describe, expect, it, vi } from 'vitest'
import { RateLimiter } from '../../src/transports/rateLimiter.js'
import { mostInASecond } from '../support/mostInASecond.js'
import { randomFrom } from '../support/random.js'

describe('a rate limit', () => {
  afterEach(() => {
    vi.useRealTimers()
  })

  it.each([
    ['a near server', 2, 3, 0, 0, 0],
    ['a distant one', 200, 30, 0, 0, 0],
    ['an erratic one', 1, 400, 0, 0, 0],
    ['a near one, on a busy machine', 5, 3, 40, 50, 0],
    ['an erratic one, on a busy machine', 1, 400, 80, 50, 0],
    ['a near one, on a machine that is busy for five seconds at a time', 2, 3, 0, 50, 100],
  ])('is never exceeded in a window of a second, and used up: %s', (_, least, spread, busy, ahead, slow) => {
    vi.useFakeTimers({ toFake: ['performance', 'setTimeout'], now: 0 })
    const random = randomFrom(7)
    const allowance = new RateLimiter(50)
    const envelopes: number[] = []
    const dots: number[] = []
    const take = (): boolean => {
      const wait = allowance.acquire(ahead)
      if (wait > ahead) return false
      if (random() < 0.02) {
        // Cancelled, so that its leave is for another.
        setTimeout(() => allowance.release(undefined), random() * wait)
        return true
      }
      const isSlow = performance.now() % 10_000 < 5_000
      const transaction = least + random() * spread + (isSlow ? slow : 0)
      // By its time it is ready, if making it ready took no longer.
      const begins = Math.max(wait, random() * Math.max(5, busy))
      setTimeout(() => {
        envelopes.push(performance.now())
        setTimeout(() => {
          const over = performance.now()
          dots.push(over)
          // The answer crosses to the main thread, which says how long that took.
          setTimeout(() => allowance.release(transaction, performance.now() - over), random() * busy)
        }, transaction)
      }, begins)
      return true
    }
    for (let ms = 0; ms < 20_000; ms++) {
      while (take());
      vi.advanceTimersByTime(1)
    }
    expect(mostInASecond(envelopes)).toBeLessThanOrEqual(50)
    expect(mostInASecond(dots)).toBeLessThanOrEqual(50)
    const latter = dots.filter((time) => time >= 10_000).length
    expect(latter).toBeGreaterThan((10_000 * 50) / (1_000 + least + spread + slow) - 25)
  })

  it('below 1 allows one message in several seconds', () => {
    vi.useFakeTimers({ toFake: ['performance'], now: 0 })
    const allowance = new RateLimiter(0.25)
    expect(allowance.acquire()).toBe(0)
    expect(allowance.acquire()).toBe(Infinity)
    allowance.release(0)
    expect(allowance.acquire()).toBeGreaterThan(3_900)
    vi.advanceTimersByTime(4_000)
    expect(allowance.acquire()).toBe(0)
    allowance.release(undefined)
    expect(allowance.acquire()).toBe(0)
  })

  it('gives a permit for a message to prepare ahead of its time, and none before that time to another', () => {
    vi.useFakeTimers({ toFake: ['performance'], now: 0 })
    const allowance = new RateLimiter(2)
    expect([allowance.acquire(), allowance.acquire(300)]).toEqual([0, 200])
    expect(allowance.acquire(300)).toBe(Infinity)
    allowance.release(0)
    vi.advanceTimersByTime(980)
    expect(allowance.acquire()).toBe(20)
    expect(allowance.acquire(50)).toBe(20)
    // It was taken back before its time.
    allowance.release(undefined)
    expect(allowance.acquire()).toBe(20)
    expect(allowance.acquire(50)).toBe(20)
    expect(allowance.acquire(50)).toBe(Infinity)
    // The other one ended a while ago, when the thread knew of it.
    vi.advanceTimersByTime(500)
    allowance.release(0, 480)
    expect(allowance.acquire(1_000)).toBe(520)
  })

  it('is halved once by throttling replies that arrive together, and recovers step by step', () => {
    vi.useFakeTimers({ toFake: ['performance'], now: 0 })
    const allowance = new RateLimiter(40)
    vi.advanceTimersByTime(5_000)
    expect([allowance.slow(), allowance.slow()]).toEqual([true, false])
    expect(allowance.rate).toBe(20)
    vi.advanceTimersByTime(2_000)
    allowance.acquire()
    expect(allowance.rate).toBeCloseTo(24)
    expect(allowance.slow()).toBe(true)
    expect(allowance.rate).toBeCloseTo(12)
    vi.advanceTimersByTime(60_000)
    allowance.acquire()
    expect(allowance.rate).toBe(40)
    expect(allowance.slowed).toBe(false)
  })
})
