/**
 * What tutorials show, and what the start page sets beside the threads: the template goes through Handlebars and MJML
 * for each mail, and nodemailer sends it, all in the calling thread.
 */
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import Handlebars from 'handlebars'
import mjml2html from 'mjml'
import { createTransport } from 'nodemailer'

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
  const handlebars = Handlebars.create()
  const partials = path.join(templates, 'partials')
  for (const file of await readdir(partials))
    handlebars.registerPartial(path.parse(file).name, await readFile(path.join(partials, file), 'utf8'))
  const source = await readFile(path.join(templates, `${template}.mjml`), 'utf8')
  const smtp = createTransport({ url: transport, pool: true, maxConnections: 10, ignoreTLS: true })
  return {
    async send({ to, subject, data }) {
      const { html } = await mjml2html(handlebars.compile(source)(data), { validationLevel: 'skip' })
      await smtp.sendMail({ from, to, subject, html })
    },
    close: () => smtp.close(),
  }
}
