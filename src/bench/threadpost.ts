import { createMailer } from '../createMailer.js'
import type { RunOrder } from './order.js'
import type { Subject, Settled } from './subject.js'
import { attachmentOf, recipientsOf } from './workload.js'

/** So many stand in the queue at a time: enough to keep the threads busy, too few to be a memory test. */
const WINDOW = 500

/** threadpost itself, as an app uses it: mails go in by `send()`, what became of them comes back as events. */
export async function createThreadpost(order: RunOrder): Promise<Subject> {
  const { mode, workload, connections } = order
  const mailer = await createMailer({
    transport: order.transport,
    from: workload.from,
    templates: workload.templates,
    threads: mode.threads,
    concurrency: Math.max(1, Math.floor(connections / Math.max(1, mode.threads))),
    queue: queueOf(order),
    limits: { recipients: Math.max(50, workload.recipients) },
  })
  const content = attachmentOf(workload)
  const fixed = {
    template: workload.template,
    data: workload.data,
    ...(content === undefined ? {} : { attachments: [{ filename: 'file.bin', content }] }),
  }
  const waiting = new Map<string, [mail: number, settled: Settled]>()
  /** What was delivered before its receipt came, as a queue with a disk may do. */
  const early = new Map<string, string | undefined>()
  const end = (id: string, failure?: string): void => {
    const waits = waiting.get(id)
    if (waits === undefined) early.set(id, failure)
    else {
      waiting.delete(id)
      waits[1](waits[0], failure)
    }
  }
  mailer.on('sent', ({ id }) => end(id))
  mailer.on('failed', ({ id, outcome }) => end(id, outcome.message))
  mailer.on('held', ({ id }) => end(id, `the server could not be reached`))

  const follow = (id: string, mail: number, settled: Settled): void => {
    if (!early.has(id)) waiting.set(id, [mail, settled])
    else {
      const failure = early.get(id)
      early.delete(id)
      settled(mail, failure)
    }
  }
  return {
    window: WINDOW,
    async hand(first, count, settled) {
      if (count === 1) {
        const { id } = await mailer.send({ ...fixed, to: recipientsOf(workload, first) })
        follow(id, first, settled)
        return
      }
      const mails = Array.from({ length: count }, (_, index) => ({
        ...fixed,
        to: recipientsOf(workload, first + index),
      }))
      for (const [index, receipt] of (await mailer.sendMany(mails)).entries()) {
        if (receipt instanceof Error) throw receipt
        follow(receipt.id, first + index, settled)
      }
    },
    close: () => mailer.close(),
  }
}

function queueOf({ mode, file, redis }: RunOrder): string {
  if (mode.family === 'sqlite') return `sqlite:${file}`
  if (mode.family === 'redis') return redis ?? 'redis://127.0.0.1'
  return 'memory'
}
