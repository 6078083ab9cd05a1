/** Sending without threadpost: Handlebars and MJML render in the calling thread, and nodemailer sends. */
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import Handlebars from 'handlebars'
import { createTransport, type SendMailOptions } from 'nodemailer'
import { mjml2html } from '../../../workers/render/mjmlPackages.js'
import type { RunConfig } from '../childProtocol.js'
import { withLogin } from '../security.js'
import type { Subject } from '../subject.js'
import { attachmentOf, recipientsOf, type Workload } from '../workload.js'

/** Compiles the template, binds the data, and runs MJML for each message, as most tutorials do. */
export async function createNaive(config: RunConfig): Promise<Subject> {
  const { workload } = config
  if (!isMjml(workload)) return createInline(config, false, await renderInThisThread(config))
  const source = await readTemplate(workload)
  return createInline(config, false, () => toHtml(compile(source)(workload.data)))
}

/**
 * Runs MJML and compiles the Handlebars template once, and keeps a pool of connections, as a careful application
 * does.
 */
export async function createPrecompiled(config: RunConfig): Promise<Subject> {
  return createInline(config, true, await renderPrecompiled(config))
}

export interface InlineSenderOptions {
  /** Template folder. */
  templates: string
  /** Name of the template in that folder. */
  template: string
  /** Whether MJML runs once, instead of for each message. */
  compileOnce: boolean
  /** `smtp://127.0.0.1:1025` */
  transport: string
  from: string
}

export interface InlineSender {
  send(mail: { to: string; subject: string; data: object }): Promise<void>
  close(): Promise<void>
}

/** The sender that the start page compares with threads. It has a pool of connections. */
export async function createInlineSender({
  templates,
  template,
  compileOnce,
  transport,
  from,
}: InlineSenderOptions): Promise<InlineSender> {
  const { render, close } = isMjml({ templates, template })
    ? await openMjml({ templates, template }, compileOnce)
    : await openInThisThread({ transport, from, templates, template })
  const smtp = createTransport({
    url: transport,
    pool: true,
    maxConnections: 10,
    maxMessages: Infinity,
    ignoreTLS: true,
  })
  return {
    async send({ to, subject, data }) {
      await smtp.sendMail({ from, to, subject, html: await render(data) })
    },
    async close() {
      smtp.close()
      await close()
    },
  }
}

/** A template that is rendered in the calling thread. */
interface OpenTemplate {
  render: (data: object) => string | Promise<string>
  close: () => Promise<void>
}

async function openMjml(workload: WorkloadTemplate, compileOnce: boolean): Promise<OpenTemplate> {
  const source = await readTemplate(workload)
  const bind = compileOnce ? await compileOnceWithMjml(source) : undefined
  return {
    render: (data) => bind?.(data) ?? toHtml(compile(source)(data)),
    close: () => Promise.resolve(),
  }
}

/**
 * Opens any other template as threadpost does, in the calling thread: a React component for each message, without the time
 * that an application needs to compile it.
 */
async function openInThisThread({
  transport,
  from,
  templates,
  template,
}: WorkloadTemplate & Pick<InlineSenderOptions, 'transport' | 'from'>): Promise<OpenTemplate> {
  const { createMailer } = await import('../../createMailer.js')
  const mailer = await createMailer({ transport, from, templates, threads: 0 })
  return {
    render: async (data) => (await mailer.render(template, data)).html,
    close: () => mailer.close(),
  }
}

type WorkloadTemplate = Pick<Workload, 'templates' | 'template'>
type Render = () => string | Promise<string>

/** Whether the template is in MJML. */
function isMjml({ templates, template }: WorkloadTemplate): boolean {
  return existsSync(path.join(templates, `${template}.mjml`))
}

async function renderInThisThread({ transport, workload }: RunConfig): Promise<Render> {
  const { render } = await openInThisThread({ ...workload, transport })
  return () => render(workload.data)
}

/** Sends as an application without a queue does: the request handler awaits nodemailer. */
function createInline(config: RunConfig, pool: boolean, render: Render): Subject {
  const sender = createSender(config, pool, render)
  return {
    // Twice the connections, so that no connection ever waits for a message.
    window: config.connections * 2,
    async submit(first, count, onDelivered) {
      const sendOne = async (mail: number): Promise<void> => {
        try {
          await sender.send(mail)
          onDelivered(mail)
        } catch (error) {
          onDelivered(mail, (error as Error).message)
        }
      }
      await Promise.all(Array.from({ length: count }, (_, index) => sendOne(first + index)))
    },
    async close() {
      sender.close()
    },
  }
}

/**
 * Returns a nodemailer transport with a pool of the configured size, or with one connection per message (its
 * default).
 */
export function createSender(
  { transport, security, connections, workload, parts }: RunConfig,
  pool: boolean,
  render: Render,
): { send(mail: number): Promise<void>; close(): void } {
  const { hostname } = new URL(transport)
  const { ca, auth, dkim } = security
  if (dkim?.algorithm === 'ed25519') throw new Error('nodemailer signs with RSA keys only')
  const base = {
    url: withLogin(transport, auth),
    // No mode uses STARTTLS on loopback.
    ...(hostname === '127.0.0.1' ? { ignoreTLS: true } : {}),
    ...(ca === undefined ? {} : { tls: { ca } }),
    ...(dkim === undefined
      ? {}
      : {
          dkim: {
            domainName: dkim.key.domain,
            keySelector: dkim.key.selector,
            privateKey: dkim.key.privateKey,
          },
        }),
  }
  const mailer = pool
    ? createTransport({ ...base, pool, maxConnections: connections, maxMessages: Infinity })
    : createTransport(base)
  const content = attachmentOf(workload)
  const common: SendMailOptions = {
    from: workload.from,
    subject: parts.subject,
    text: parts.text,
    ...(content === undefined ? {} : { attachments: [{ filename: 'file.bin', content }] }),
  }
  return {
    async send(mail) {
      await mailer.sendMail({ ...common, to: recipientsOf(workload, mail), html: await render() })
    },
    close: () => mailer.close(),
  }
}

/**
 * Runs MJML once over the template, with its Handlebars expressions in place. A template in MJML with features that only
 * threadpost has (its helpers, its layouts) is sent as threadpost rendered it, which costs the baseline nothing.
 */
export async function renderPrecompiled(config: RunConfig): Promise<Render> {
  const { workload, parts } = config
  if (!isMjml(workload)) return renderInThisThread(config)
  try {
    const bind = await compileOnceWithMjml(await readTemplate(workload))
    bind(workload.data)
    return () => bind(workload.data)
  } catch {
    return () => parts.html
  }
}

/** Returns the source of the workload's template, and registers the partials of its folder with Handlebars. */
async function readTemplate({ templates, template }: WorkloadTemplate): Promise<string> {
  const partials = path.join(templates, 'partials')
  for (const file of await readdir(partials).catch(() => [])) {
    const { name, ext } = path.parse(file)
    if (ext === '.mjml') Handlebars.registerPartial(name, await readFile(path.join(partials, file), 'utf8'))
  }
  return readFile(path.join(templates, `${template}.mjml`), 'utf8')
}

/**
 * Runs MJML over the template with its expressions in place. Partials become part of the source first, because MJML
 * would not see their tags.
 */
async function compileOnceWithMjml(source: string): Promise<(data: object) => string> {
  const partials: Record<string, unknown> = Handlebars.partials
  const withPartials = source.replace(/\{\{>\s*([\w-]+)\s*\}\}/g, (expression, name: string) => {
    const partial = partials[name]
    return typeof partial === 'string' ? partial : expression
  })
  return compile(await toHtml(withPartials))
}

/** Returns a function from data to text. */
function compile(source: string): (data: object) => string {
  return Handlebars.compile(source)
}

async function toHtml(mjml: string): Promise<string> {
  const { html } = await mjml2html(mjml, { validationLevel: 'skip' })
  return html
}
