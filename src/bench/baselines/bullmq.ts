import { Queue, Worker } from 'bullmq'
import type { RunConfig } from '../childProtocol.js'
import type { OnDelivered, Subject } from '../subject.js'
import { createSender, renderPrecompiled } from './inlineSending.js'

interface Job {
  mail: number
  data: object
}

/** Jobs in the queue at a time. */
const WINDOW = 500

/** A BullMQ queue whose worker runs in the same process, as in small applications, and sends as `precompiled` does. */
export async function createBullmq(config: RunConfig): Promise<Subject> {
  const { hostname, port } = new URL(config.redis ?? 'redis://127.0.0.1')
  const connection = { host: hostname, port: Number(port === '' ? 6379 : port), maxRetriesPerRequest: null }
  const name = `threadpost-bench-${process.pid}`
  const sender = createSender(config, true, await renderPrecompiled(config))
  const waiting = new Map<number, OnDelivered>()
  const queue = new Queue<Job>(name, {
    connection,
    defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
  })
  const worker = new Worker<Job>(name, ({ data }) => sender.send(data.mail), {
    connection,
    concurrency: config.connections,
  })
  const settle = (mail: number, failure?: string): void => {
    waiting.get(mail)?.(mail, failure)
    waiting.delete(mail)
  }
  worker.on('completed', ({ data }) => settle(data.mail))
  worker.on('failed', (job, error) => job && settle(job.data.mail, error.message))
  await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()])
  return {
    window: WINDOW,
    async submit(first, count, onDelivered) {
      const jobs = Array.from({ length: count }, (_, index) => {
        waiting.set(first + index, onDelivered)
        return { name: 'mail', data: { mail: first + index, data: config.workload.data } }
      })
      const [only] = jobs
      if (count === 1 && only !== undefined) await queue.add(only.name, only.data)
      else await queue.addBulk(jobs)
    },
    async close() {
      await worker.close()
      await queue.obliterate({ force: true })
      await queue.close()
      sender.close()
    },
  }
}
