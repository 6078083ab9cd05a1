import { createTransport, type SendMailOptions } from 'nodemailer'
import type { RunOrder } from '../order.js'
import type { Subject } from '../subject.js'
import { attachmentOf, recipientsOf } from '../workload.js'
import { compile, readTemplate, toHtml } from './templateCompiler.js'

type Render = () => string | Promise<string>

/** As an app sends that has no queue: the request handler awaits nodemailer. */
function createInline(order: RunOrder, pool: boolean, render: Render): Subject {
  const mailer = sender(order, pool, render)
  return {
    // The next ones stand ready, so that no connection ever waits for a mail.
    window: order.connections * 2,
    async hand(first, count, settled) {
      const one = async (mail: number): Promise<void> => {
        try {
          await mailer.send(mail)
          settled(mail)
        } catch (error) {
          settled(mail, (error as Error).message)
        }
      }
      await Promise.all(Array.from({ length: count }, (_, index) => one(first + index)))
    },
    async close() {
      mailer.close()
    },
  }
}

/** nodemailer, with a pool of the ordered size or with a connection for each mail (its default). */
export function sender(
  { transport, connections, workload, parts }: RunOrder,
  pool: boolean,
  render: Render,
): { send(mail: number): Promise<void>; close(): void } {
  const { hostname } = new URL(transport)
  // On loopback there is nothing to hide: no mode uses TLS there.
  const base = { url: transport, ...(hostname === '127.0.0.1' ? { ignoreTLS: true } : {}) }
  const mailer = pool
    ? createTransport({ ...base, pool, maxConnections: connections, maxMessages: Infinity })
    : createTransport(base)
  const content = attachmentOf(workload)
  const fixed: SendMailOptions = {
    from: workload.from,
    subject: parts.subject,
    text: parts.text,
    ...(content === undefined ? {} : { attachments: [{ filename: 'file.bin', content }] }),
  }
  return {
    async send(mail) {
      await mailer.sendMail({ ...fixed, to: recipientsOf(workload, mail), html: await render() })
    },
    close: () => mailer.close(),
  }
}

/** What most tutorials do: the template is compiled, bound and run through MJML for each mail. */
export async function createNaive(order: RunOrder): Promise<Subject> {
  const source = await readTemplate(order.workload)
  return createInline(order, false, () => toHtml(compile(source)(order.workload.data)))
}

/** What a careful app does: MJML once, Handlebars compiled once, and a pool of connections. */
export async function createPrecompiled(order: RunOrder): Promise<Subject> {
  return createInline(order, true, await precompiled(order))
}

/**
 * MJML is run once over the template with its expressions left standing. A template that uses what only threadpost
 * knows (its helpers, its layouts) is sent as threadpost rendered it: that costs the rival nothing.
 */
export async function precompiled({ workload, parts }: RunOrder): Promise<() => string> {
  try {
    const bind = compile(await toHtml(await readTemplate(workload)))
    bind(workload.data)
    return () => bind(workload.data)
  } catch {
    return () => parts.html
  }
}
