import { expect, it } from 'vitest'
import { IdempotencyKeys } from '../../src/queue/idempotencyKeys.js'
import { jobOf } from '../support/queueSuite/jobs.js'

const DAY = 86_400_000

it('a key that is kept for long keeps no other', () => {
  const now = Date.now()
  const keys = new IdempotencyKeys(1_000)
  const far = jobOf({ idempotencyKey: 'far', expiresAt: now + 300 * DAY })
  keys.remember(far)
  for (let nth = 0; nth < 1_000; nth++)
    keys.remember(jobOf({ idempotencyKey: `${nth}`, expiresAt: now + 1_000 + (nth % 7) }))
  keys.prune(now + DAY)
  for (let nth = 0; nth < 1_000; nth++) expect(keys.find(`${nth}`, now)).toBeUndefined()
  expect(keys.find('far', now + DAY)).toMatchObject({ id: far.id })
})

it('a key that comes again once it was over is remembered as of then', () => {
  const now = Date.now()
  const keys = new IdempotencyKeys(1_000)
  const at = (acceptedAt: number) => jobOf({ idempotencyKey: 'k', acceptedAt, expiresAt: acceptedAt })
  keys.remember(at(now))
  const again = at(now + 2_000)
  expect(keys.find('k', now + 2_000)).toBeUndefined()
  keys.remember(again)
  keys.prune(now + 2_500)
  expect(keys.find('k', now + 2_500)).toMatchObject({ id: again.id })
  keys.prune(now + 3_000)
  expect(keys.find('k', now)).toBeUndefined()
})
