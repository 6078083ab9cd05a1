import { Queue, Worker } from 'bullmq'
import type { RunOrder } from '../order.js'
import type { Subject, Settled } from '../subject.js'
import { precompiled, sender } from './inlineSending.js'

interface Job {
  mail: number
  data: object
}

const WINDOW = 500

/** A queue in Redis with its worker in the same process, as small apps run it; the worker sends as precompiled does. */
export async function createBullmq(order: RunOrder): Promise<Subject> {
  const { hostname, port } = new URL(order.redis ?? 'redis://127.0.0.1')
  const connection = { host: hostname, port: Number(port === '' ? 6379 : port), maxRetriesPerRequest: null }
  const name = `threadpost-bench-${process.pid}`
  const mailer = sender(order, true, await precompiled(order))
  const waiting = new Map<number, Settled>()
  const queue = new Queue<Job>(name, {
    connection,
    defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
  })
  const worker = new Worker<Job>(name, ({ data }) => mailer.send(data.mail), {
    connection,
    concurrency: order.connections,
  })
  const end = (mail: number, failure?: string): void => {
    waiting.get(mail)?.(mail, failure)
    waiting.delete(mail)
  }
  worker.on('completed', ({ data }) => end(data.mail))
  worker.on('failed', (job, error) => job && end(job.data.mail, error.message))
  await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()])
  return {
    window: WINDOW,
    async hand(first, count, settled) {
      const jobs = Array.from({ length: count }, (_, index) => {
        waiting.set(first + index, settled)
        return { name: 'mail', data: { mail: first + index, data: order.workload.data } }
      })
      const [only] = jobs
      if (count === 1 && only !== undefined) await queue.add(only.name, only.data)
      else await queue.addBulk(jobs)
    },
    async close() {
      await worker.close()
      await queue.obliterate({ force: true })
      await queue.close()
      mailer.close()
    },
  }
}
