/**
 * What tutorials show, and what the start page sets beside the threads: the template goes through Handlebars and MJML
 * for each mail, and nodemailer sends it, all in the calling thread.
 */
import { createTransport } from 'nodemailer'
import { compile, readTemplate, toHtml } from './templateCompiler.js'

export interface EachTimeOrder {
  /** Folder of templates, and the one of them. */
  templates: string
  template: string
  /** `smtp://127.0.0.1:1025` */
  transport: string
  from: string
}

export interface EachTime {
  send(mail: { to: string; subject: string; data: object }): Promise<void>
  close(): void
}

export async function createEachTime({
  templates,
  template,
  transport,
  from,
}: EachTimeOrder): Promise<EachTime> {
  const source = await readTemplate({ templates, template })
  const smtp = createTransport({ url: transport, pool: true, maxConnections: 10, ignoreTLS: true })
  return {
    async send({ to, subject, data }) {
      await smtp.sendMail({ from, to, subject, html: await toHtml(compile(source)(data)) })
    },
    close: () => smtp.close(),
  }
}
