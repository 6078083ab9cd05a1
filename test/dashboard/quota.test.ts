import { expect, it } from 'vitest'
import { quotaEnd, transportsOf } from '../../src/dashboard/app/transports.js'
import type { ProcessActivity, QuotaStatus } from '../../src/index.js'

it('a quota that is used up ends with its hour, or with the day if that is used up as well', () => {
  const now = Date.parse('2026-03-01T10:20:00Z')
  const end = (quota: QuotaStatus): string | undefined => {
    const at = quotaEnd(quota, now)
    return at === undefined ? undefined : new Date(at).toISOString()
  }
  const [full, open] = [
    { used: 5, limit: 5 },
    { used: 4, limit: 5 },
  ]
  expect(end({ hour: open, day: open })).toBeUndefined()
  expect(end({ hour: full, day: open })).toBe('2026-03-01T11:00:00.000Z')
  expect(end({ hour: full, day: full })).toBe('2026-03-02T00:00:00.000Z')
})

it('a quota is shown as the process knows it that sent last', () => {
  const processes = [3, 7, 5].map((used) => ({
    gone: false,
    transports: [{ transport: 'main', breaker: 'closed', quota: { hour: { used, limit: 9 } } }],
  }))
  const [main] = transportsOf(processes as unknown as ProcessActivity[])
  expect(main?.quota).toEqual({ hour: { used: 7, limit: 9 } })
})
