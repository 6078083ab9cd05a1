/** A process that renders a workload and sends it once: whether that works at all is known before anything is measured. */
import { createMailer } from '../createMailer.js'
import { explain } from '../message/explain.js'
import { answerParent } from './childMessages.js'
import type { Parts, Workload } from './order.js'
import { attachmentOf, recipientsOf } from './workload.js'

interface TrialOrder {
  workload: Workload
  transport: string
}

answerParent<Parts>(async ({ workload, transport }: TrialOrder) => {
  const { templates, template, from } = workload
  const data = workload.data
  const mailer = await createMailer({ transport, from, templates, threads: 0 })
  try {
    const content = attachmentOf(workload)
    const attachments = content === undefined ? [] : [{ filename: 'file.bin', content }]
    const to = recipientsOf({ ...workload, recipients: 1 }, 0)
    const message = await mailer.sendAndWait({ template, data, to, attachments })
    if (message.status !== 'sent') throw new Error(explain(message))
    const { subject, html, text } = await mailer.render(template, data)
    return { subject, html, text }
  } finally {
    await mailer.close()
  }
})
