import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ConditionLog } from '../../src/logging/conditionLog.js'

const lines: [string, object][] = []
const write = (fields: object, message: string): void => void lines.push([message, fields])
const logger = { debug() {}, info: write, warn: write, error: write }
const condition = { begins: 'It has begun', level: 'warn', ends: 'It is over' } as const

beforeEach(() => {
  vi.useFakeTimers()
  lines.length = 0
})
afterEach(() => void vi.useRealTimers())

describe('the log of a condition', () => {
  it('logs the begin and the end of a condition once, no matter how often it is reported', () => {
    const log = new ConditionLog(logger, condition)
    for (let n = 0; n < 100; n++) log.report('the disk is full')
    for (let n = 0; n < 100; n++) log.report(undefined)
    vi.runAllTimers()
    log.report(undefined)
    vi.runAllTimers()
    expect(lines).toEqual([
      ['It has begun', { problem: 'the disk is full' }],
      ['It is over', { times: 100 }],
    ])
  })

  it('logs nothing while the condition begins and ends ten times per second', () => {
    const log = new ConditionLog(logger, condition)
    for (let n = 0; n < 6_000; n++) {
      log.report(n % 2 === 0 ? 'the disk is full' : undefined)
      vi.advanceTimersByTime(100)
    }
    expect(lines).toHaveLength(1)
  })

  it('logs a condition less and less often if it returns right after each end', () => {
    const log = new ConditionLog(logger, condition)
    // An hour in which it is on for a second and off for three.
    for (let n = 0; n < 900; n++) {
      log.report('the disk is full')
      vi.advanceTimersByTime(1_000)
      log.report(undefined)
      vi.advanceTimersByTime(3_000)
    }
    expect(lines.length).toBeLessThan(10)
  })

  it('counts frequent reports and logs them once', () => {
    const log = new ConditionLog(logger, condition)
    const first = Array.from({ length: 50 }, (_, n) => log.happened({ n }))
    expect(first.filter(Boolean)).toHaveLength(1)
    log.close()
    expect(lines).toEqual([
      ['It has begun', { n: 0 }],
      ['It is over', { times: 50 }],
    ])
    expect(vi.getTimerCount()).toBe(0)
  })
})
