import { expect, it, onTestFinished } from 'vitest'
import { Connections } from '../../src/queue/redis/connections.js'
import { RedisStore } from '../../src/queue/redis/store.js'
import { jobOf } from '../support/queueSuite/jobs.js'
import { useRedis } from '../support/redis.js'
import { describeWith } from '../support/tools.js'

const DAY = 86_400_000

describeWith(['redis-server'], 'the messages in Redis', ({ 'redis-server': tool }) => {
  const redis = useRedis(tool)

  async function aStore(prefix: string): Promise<RedisStore> {
    const connections = await Connections.open({ url: redis.url, redis: {} }, () => undefined, false)
    onTestFinished(() => connections.close())
    return new RedisStore(connections, { prefix, owner: 'me', limit: 100, keepKey: DAY, count: 100 })
  }

  it('a command that comes twice is done once', async () => {
    const store = await aStore('{twice}:')
    const job = jobOf({ idempotencyKey: 'k', fingerprint: 'a' })
    expect(await store.accept([job], 'op')).toEqual([{ result: 'queued' }])
    expect(await store.accept([job], 'op')).toEqual([{ result: 'queued' }])
    expect((await store.stats()).accepted).toBe(1)
  })

  it('what was accepted in doubt is taken back with its key, unless somebody has a receipt for it', async () => {
    const store = await aStore('{doubt}:')
    const job = jobOf({ idempotencyKey: 'k', fingerprint: 'a' })
    await store.accept([job], 'op-1')
    await store.revoke([job.id], 'op-1')
    expect((await store.look([job.id])).rows).toEqual([undefined])

    const again = jobOf({ idempotencyKey: 'k', fingerprint: 'a' })
    expect(await store.accept([again], 'op-2')).toEqual([{ result: 'queued' }])
    const retried = jobOf({ idempotencyKey: 'k', fingerprint: 'a' })
    expect(await store.accept([retried], 'op-3')).toMatchObject([{ result: 'duplicate', id: again.id }])
    await store.revoke([again.id], 'op-2')
    expect((await store.look([again.id])).rows[0]).toMatchObject({ rev: 0 })
  })

  it('a message without a job is found, and one that is being delivered by a living process is not lost', async () => {
    const store = await aStore('{sweep}:')
    const job = jobOf()
    await store.accept([job], store.op())
    const options = { alive: 60_000, count: 100, age: DAY, adding: -1 }
    expect((await store.sweep(options)).orphans.map(({ id }) => id)).toEqual([job.id])
    await store.added([job.id])
    expect((await store.sweep(options)).orphans).toEqual([])

    expect(await store.begin(job.id)).toMatchObject({ do: 'go', job: { id: job.id } })
    expect(await store.begin(job.id)).toEqual({ do: 'later' })
    expect(await store.begin(jobOf().id)).toEqual({ do: 'drop' })
  })
})
