import { createMailer } from '../createMailer.js'
import { explain } from '../message/explain.js'
import type { RunConfig, TrialConfig } from './childProtocol.js'
import { transportOf } from './security.js'
import type { OnDelivered, Subject } from './subject.js'
import { attachmentOf, type Parts, recipientsOf } from './workload.js'

/** Messages in the queue at a time: enough to keep the threads busy, few enough that this is not a memory test. */
const WINDOW = 500

/** Sends through threadpost as an application does: `send()` submits messages, and events report their outcomes. */
export async function createThreadpost(config: RunConfig): Promise<Subject> {
  const { mode, workload, connections } = config
  const mailer = await createMailer({
    transport: transportOf(config.transport, config.security),
    from: workload.from,
    templates: workload.templates,
    threads: mode.threads,
    concurrency: Math.max(1, Math.floor(connections / Math.max(1, mode.threads))),
    queue: queueOf(config),
    limits: { recipients: Math.max(50, workload.recipients) },
  })
  const attachments = attachmentsOf(config)
  const common = {
    template: workload.template,
    data: workload.data,
    ...(attachments.length === 0 ? {} : { attachments }),
  }
  const waiting = new Map<string, [mail: number, onDelivered: OnDelivered]>()
  /** Outcomes that arrived before the receipt of their message, which a queue on disk allows. */
  const early = new Map<string, string | undefined>()
  const settle = (id: string, failure?: string): void => {
    const entry = waiting.get(id)
    if (entry === undefined) early.set(id, failure)
    else {
      waiting.delete(id)
      const [mail, onDelivered] = entry
      onDelivered(mail, failure)
    }
  }
  mailer.on('sent', ({ id }) => settle(id))
  mailer.on('failed', ({ id, outcome }) => settle(id, outcome.message))
  mailer.on('held', ({ id }) => settle(id, 'the server could not be reached'))

  const awaitOutcome = (id: string, mail: number, onDelivered: OnDelivered): void => {
    if (!early.has(id)) waiting.set(id, [mail, onDelivered])
    else {
      const failure = early.get(id)
      early.delete(id)
      onDelivered(mail, failure)
    }
  }
  return {
    window: WINDOW,
    async submit(first, count, onDelivered) {
      if (count === 1) {
        const { id } = await mailer.send({ ...common, to: recipientsOf(workload, first) })
        awaitOutcome(id, first, onDelivered)
        return
      }
      const mails = Array.from({ length: count }, (_, index) => ({
        ...common,
        to: recipientsOf(workload, first + index),
      }))
      for (const [index, receipt] of (await mailer.sendMany(mails)).entries()) {
        if (receipt instanceof Error) throw receipt
        awaitOutcome(receipt.id, first + index, onDelivered)
      }
    },
    close: () => mailer.close(),
  }
}

/**
 * Renders the workload and sends it once.
 * @throws Error that says why it can't be rendered or sent
 */
export async function tryWorkload({ workload, transport }: TrialConfig): Promise<Parts> {
  const { templates, template, data, from } = workload
  const mailer = await createMailer({ transport, from, templates, threads: 0 })
  try {
    const to = recipientsOf({ ...workload, recipients: 1 }, 0)
    const message = await mailer.sendAndWait({ template, data, to, attachments: attachmentsOf({ workload }) })
    if (message.status !== 'sent') throw new Error(explain(message))
    const { subject, html, text } = await mailer.render(template, data)
    return { subject, html, text }
  } finally {
    await mailer.close()
  }
}

function attachmentsOf({ workload }: Pick<RunConfig, 'workload'>): { filename: string; content: Buffer }[] {
  const content = attachmentOf(workload)
  return content === undefined ? [] : [{ filename: 'file.bin', content }]
}

function queueOf({ mode, file, redis }: RunConfig): string {
  if (mode.family === 'sqlite') return `sqlite:${file}`
  if (mode.family === 'redis') return redis ?? 'redis://127.0.0.1'
  return 'memory'
}
