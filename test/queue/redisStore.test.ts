import { expect, it, onTestFinished } from 'vitest'
import { Connections } from '../../src/queue/redis/redisConnections.js'
import { RedisStore } from '../../src/queue/redis/redisStore.js'
import { jobOf } from '../support/queueSuite/jobs.js'
import { useRedis } from '../support/redis.js'
import { describeWith } from '../support/tools.js'

const DAY = 86_400_000

describeWith(['redis-server'], 'RedisStore', ({ 'redis-server': tool }) => {
  const redis = useRedis(tool)

  async function openStore(prefix: string): Promise<RedisStore> {
    const connections = await Connections.open({ url: redis.url, redis: {} }, () => undefined, false)
    onTestFinished(() => connections.close())
    return new RedisStore(connections, {
      prefix,
      owner: 'me',
      limit: 100,
      cipher: undefined,
      keepKey: DAY,
      count: 100,
    })
  }

  it('accepts a message once when the client sends the command twice', async () => {
    const store = await openStore('{twice}:')
    const job = jobOf({ idempotencyKey: 'k', fingerprint: 'a' })
    expect(await store.enqueue([job], 'op')).toEqual([{ result: 'queued' }])
    expect(await store.enqueue([job], 'op')).toEqual([{ result: 'queued' }])
    expect((await store.stats()).accepted).toBe(1)
  })

  it('revokes a message whose caller was told of a failure, with its key, unless another caller has a receipt for it', async () => {
    const store = await openStore('{doubt}:')
    const job = jobOf({ idempotencyKey: 'k', fingerprint: 'a' })
    await store.enqueue([job], 'op-1')
    await store.revoke([job.id], 'op-1')
    expect((await store.find([job.id])).rows).toEqual([undefined])

    const again = jobOf({ idempotencyKey: 'k', fingerprint: 'a' })
    expect(await store.enqueue([again], 'op-2')).toEqual([{ result: 'queued' }])
    const retried = jobOf({ idempotencyKey: 'k', fingerprint: 'a' })
    expect(await store.enqueue([retried], 'op-3')).toMatchObject([{ result: 'duplicate', id: again.id }])
    await store.revoke([again.id], 'op-2')
    expect((await store.find([again.id])).rows[0]).toMatchObject({ rev: 0 })
  })

  it('accepts nothing for a command that comes after its revocation', async () => {
    const store = await openStore('{late}:')
    const [job, other] = [jobOf({ idempotencyKey: 'k' }), jobOf()]
    expect(await store.revoke([job.id, other.id], 'op-1')).toBe(true)
    expect(await store.enqueue([job, other], 'op-1')).toMatchObject([
      { result: 'unavailable' },
      { result: 'unavailable' },
    ])
    expect((await store.find([job.id, other.id])).rows).toEqual([undefined, undefined])
    expect(await store.enqueue([job], 'op-2')).toEqual([{ result: 'queued' }])
  })

  it('a late command does not take a receipt away from another caller when it is revoked', async () => {
    const store = await openStore('{receipts}:')
    const job = jobOf({ fingerprint: 'a' })
    for (const operation of ['op-1', 'op-2', 'op-3']) await store.enqueue([job], operation)
    expect(await store.revoke([job.id], 'op-1')).toBe(true)
    expect(await store.revoke([job.id], 'op-3')).toBe(true)
    expect((await store.find([job.id])).rows[0]).toMatchObject({ rev: 0 })
    expect(await store.revoke([job.id], 'op-2')).toBe(true)
    expect((await store.find([job.id])).rows).toEqual([undefined])

    for (let n = 1; n <= 50; n++) await store.enqueue([job], `many-${n}`)
    for (let n = 1; n <= 50; n++) await store.revoke([job.id], `many-${n}`)
    expect((await store.find([job.id])).rows[0]).toMatchObject({ rev: 0 })
  })

  it('can no longer revoke a message whose delivery has begun, and says so', async () => {
    const store = await openStore('{begun}:')
    const job = jobOf()
    await store.enqueue([job], 'op-1')
    await store.claim(job.id)
    expect(await store.revoke([job.id], 'op-1')).toBe(false)
    expect((await store.find([job.id])).rows[0]).toMatchObject({ rev: 1 })
  })

  it('finds messages without a job, and leaves a message to the live process that delivers it', async () => {
    const store = await openStore('{maintain}:')
    const job = jobOf()
    await store.enqueue([job], store.nextOperation())
    const options = { alive: 60_000, count: 100, age: DAY, orphanedAfter: -1 }
    expect((await store.maintain(options)).orphans.map(({ id }) => id)).toEqual([job.id])
    await store.jobsAdded([job.id])
    expect((await store.maintain(options)).orphans).toEqual([])

    expect(await store.claim(job.id)).toMatchObject({ action: 'deliver', job: { id: job.id } })
    expect(await store.claim(job.id)).toEqual({ action: 'recheck' })
    expect(await store.claim(jobOf().id)).toEqual({ action: 'drop' })
  })
})
