import { expect, it } from 'vitest'
import { IdempotencyKeys } from '../../src/queue/memory/idempotencyKeys.js'
import { FIRST_SETTLED, STATUS_NUMBERS } from '../../src/queue/storedRow.js'
import { jobOf } from '../support/queueSuite/jobs.js'

const DAY = 86_400_000

it('an idempotency key with a long lifetime doesn’t keep other keys from expiring', () => {
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

it('an idempotency key that is used again after its expiry gets a new lifetime', () => {
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

it('the numbers of the statuses are those in existing files', () => {
  const numbers = {
    queued: 0,
    sending: 1,
    deferred: 2,
    held: 3,
    sent: 4,
    partial: 5,
    failed: 6,
    expired: 7,
    cancelled: 8,
  }
  expect(STATUS_NUMBERS).toEqual(numbers)
  expect(FIRST_SETTLED).toBe(numbers.sent)
})
