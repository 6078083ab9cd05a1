import { createTransport, type SendMailOptions } from 'nodemailer'
import type { Contestant } from '../contestant.js'
import type { RunOrder } from '../order.js'
import { attachmentOf, recipientsOf } from '../recipients.js'

type Render = () => string | Promise<string>

/** As an app sends that has no queue: the request handler awaits nodemailer. */
export function createInline(order: RunOrder, pool: boolean, render: Render): Contestant {
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
