import { expect, it, onTestFinished } from 'vitest'
import { Connections } from '../../src/queue/redis/connections.js'
import { RedisStore } from '../../src/queue/redis/store.js'
import { jobOf } from '../support/queueSuite/jobs.js'
import { useRedis } from '../support/redis.js'
import { describeWith } from '../support/tools.js'

const DAY = 86_400_000

describeWith(['redis-server'], 'RedisStore', ({ 'redis-server': tool }) => {
  const redis = useRedis(tool)

  async function openStore(prefix: string): Promise<RedisStore> {
    const connections = await Connections.open({ url: redis.url, redis: {} }, () => undefined, false)
    onTestFinished(() => connections.close())
    return new RedisStore(connections, { prefix, owner: 'me', limit: 100, keepKey: DAY, count: 100 })
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
