import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import type { MailComposerOptions } from 'nodemailer/lib/mail-composer'
import type { Json, Mailbox, MessagePayload } from '../../src/protocol/tasks.js'
import type { PluginTransport, TransportReport } from '../../src/protocol/transportConfig.js'
import { unsubscribeFields } from '../../src/protocol/unsubscribeFields.js'
import { whileLoading } from '../heartbeat.js'
import { rawUnsupported } from './sendResults.js'
import { loadPackage, ServiceResults, toTransportReport, withTimeout } from './serviceResults.js'
import { SingleCallSender } from './singleCallSender.js'
import type { Envelope, OutgoingMail, Progress, SendResult, Transport } from './transport.js'

const SECRET_NAME = /auth|credential|key|pass|secret|token/i

/** nodemailer's interface of a transport plugin. */
interface Plugin {
  name: string
  version: string
  send(mail: object, callback: (error: Error | null, info: object) => void): void
  verify?: (callback: (error?: Error | null) => void) => unknown
  close?: () => void
}

/** Properties that plugins set on their errors and on the info they return. None of them is reliable. */
interface PluginReport {
  code?: unknown
  responseCode?: unknown
  statusCode?: unknown
  status?: unknown
  message?: unknown
  response?: unknown
  rejected?: unknown
}

/**
 * Sends through any nodemailer transport plugin. A plugin reports only the end of a call: after an error with neither the
 * server's reply nor a connection error code, the result is uncertain.
 */
export class PluginSender implements Transport {
  readonly #config: PluginTransport
  readonly #results: ServiceResults
  readonly #calls: SingleCallSender
  readonly #plugin: Promise<Plugin>
  /** Only two transports need all of it. */
  readonly #nodemailer = whileLoading(() => import('nodemailer'))

  constructor(config: PluginTransport, calls: number) {
    this.#config = config
    this.#results = new ServiceResults(secretsIn(config.options))
    this.#plugin = load(config)
    this.#plugin.catch(() => undefined)
    this.#calls = new SingleCallSender(calls, async () => (await this.#plugin).close?.())
  }

  async ready(): Promise<void> {
    await this.#nodemailer
    await this.#plugin
  }

  send(mail: OutgoingMail, progress: Progress, deadline: number): Promise<SendResult> {
    const { envelope, payload, parts } = mail
    const to = [...envelope.to]
    if (payload.content.kind === 'raw') return Promise.resolve(rawUnsupported('A plugin'))
    return this.#calls.run(mail, progress, deadline, () =>
      this.#results.withClient(this.#plugin, async (plugin) => {
        try {
          const { default: nodemailer } = await this.#nodemailer
          const transporter = nodemailer.createTransport(plugin as never)
          transporter.use('stream', ({ message }, proceed) => {
            progress.sends(() => message.build())
            proceed()
          })
          // Objects, because nodemailer would parse text.
          const info = await transporter.sendMail({
            ...mailOptions(payload, parts),
            envelope: toEnvelope(envelope),
          })
          return this.#fromInfo(info, to)
        } catch (error) {
          return this.#fromError(error, to)
        }
      }),
    )
  }

  verify(): Promise<TransportReport> {
    return toTransportReport({ transport: this.#config.name, host: this.#config.module, port: 0 }, () =>
      this.#results.withClient(this.#plugin, async (plugin) => {
        try {
          await withTimeout(verified(plugin))
          return this.#results.fromResponse({ status: 250, text: 'ready' }, [])
        } catch (error) {
          return this.#results.notConnected(error)
        }
      }),
    )
  }

  retire(successor: Transport): Promise<void> {
    return this.#calls.retire(successor)
  }

  quit(): Promise<void> {
    return this.#calls.quit()
  }

  #fromInfo({ response, rejected }: PluginReport, to: readonly string[]): SendResult {
    const text = typeof response === 'string' ? response : 'accepted'
    const result = this.#results.fromResponse({ status: 250, text }, to)
    const refused = new Set(Array.isArray(rejected) ? rejected.map(addressOf) : [])
    for (const recipient of result.recipients)
      if (refused.has(recipient.address)) recipient.result = 'rejected'
    if (result.recipients.some((recipient) => recipient.result === 'accepted')) return result
    return {
      ...result,
      outcome: { result: 'rejected', code: 'SMTP_REJECTED' },
      message: 'The plugin reports that the server refused every recipient.',
    }
  }

  #fromError(error: unknown, to: readonly string[]): SendResult {
    const { code, responseCode, statusCode, status, message } = (error ?? {}) as PluginReport
    const text = typeof message === 'string' ? message : 'an error without a message'
    if (code === 'EAUTH') return this.#results.fromResponse({ status: 401, text }, to)
    // In SMTP 4yz is temporary and 5yz permanent; in HTTP it is the other way round.
    if (typeof responseCode === 'number' && responseCode >= 400)
      return this.#results.fromResponse({ status: responseCode < 500 ? 503 : 400, text }, to)
    const http = [statusCode, status].find((value) => typeof value === 'number' && value >= 300)
    if (typeof http === 'number') return this.#results.fromResponse({ status: http, text }, to)
    const result = this.#results.fromError(error, to)
    if (result.outcome.result !== 'uncertain') return result
    return {
      ...result,
      message: `The plugin failed without saying whether the message was sent: ${this.#results.describe(text)}`,
    }
  }
}

/** Calls the plugin's `verify()` as nodemailer does. Accepts a callback without arguments, and a rejected promise. */
function verified(plugin: Plugin): Promise<void> {
  return new Promise((resolve, reject) => {
    if (plugin.verify === undefined) resolve()
    else
      Promise.resolve(
        plugin.verify((error) => (error === null || error === undefined ? resolve() : reject(error))),
      ).catch(reject)
  })
}

/** Resolves the module from the working directory. Its default export is a class, a factory function, or a transport. */
async function load({ module, options }: PluginTransport): Promise<Plugin> {
  const importing = importFromWorkingDirectory(module)
  const { default: exported } = (await loadPackage(importing, module, 'The transport is the plugin')) as {
    default: unknown
  }
  const plugin = (
    isClass(exported) ? new exported(options) : isFunction(exported) ? exported(options) : exported
  ) as Plugin | undefined
  if (typeof plugin?.send !== 'function')
    throw new Error(
      `${module} is not a transport plugin: its default export must be an object with send(), or a class or function that creates one`,
    )
  return plugin
}

async function importFromWorkingDirectory(module: string): Promise<unknown> {
  const from = createRequire(path.join(process.cwd(), 'index.js'))
  return whileLoading(() => import(pathToFileURL(from.resolve(module)).href) as Promise<unknown>)
}

function isClass(value: unknown): value is new (options: object) => unknown {
  return isFunction(value) && typeof (value.prototype as { send?: unknown } | undefined)?.send === 'function'
}

function isFunction(value: unknown): value is (options: object) => unknown {
  return typeof value === 'function'
}

/** Collects the strings under option names such as `apiKey`, `auth.pass` or `token`. */
function secretsIn(value: Json, secret = false): string[] {
  if (typeof value === 'string') return secret ? [value] : []
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, inner]) => secretsIn(inner, secret || SECRET_NAME.test(name)))
}

function addressOf(entry: unknown): string {
  return typeof entry === 'object' && entry !== null
    ? String((entry as { address?: unknown }).address)
    : String(entry)
}

/** Converts a message to nodemailer's options, which its transport plugins take. */
export function mailOptions(
  payload: MessagePayload,
  parts: { subject: string; html: string; text: string },
): MailComposerOptions {
  return {
    from: toAddress(payload.from),
    ...(payload.sender === undefined ? {} : { sender: toAddress(payload.sender) }),
    to: payload.to.length + payload.cc.length === 0 ? 'undisclosed-recipients:;' : payload.to.map(toAddress),
    cc: payload.cc.map(toAddress),
    replyTo: payload.replyTo.map(toAddress),
    subject: payload.subject ?? parts.subject,
    messageId: payload.messageId,
    date: new Date(payload.date),
    ...(payload.inReplyTo === undefined ? {} : { inReplyTo: payload.inReplyTo }),
    references: payload.references,
    headers: [...payload.headers, ...unsubscribeFields(payload.listUnsubscribe)].map(([key, value]) => ({
      key,
      value,
    })),
    ...(parts.text === '' ? {} : { text: parts.text }),
    ...(parts.html === '' ? {} : { html: parts.html }),
    ...icalEventOf(payload),
    attachments: payload.attachments
      .filter(({ calendar }) => calendar === undefined)
      .map(({ filename, content, contentType, cid }) => ({
        content:
          typeof content === 'string'
            ? content
            : Buffer.from(content.buffer, content.byteOffset, content.byteLength),
        filename: filename ?? false,
        ...(contentType === undefined ? {} : { contentType }),
        ...(cid === undefined ? {} : { cid }),
      })),
    textEncoding: 'quoted-printable',
    baseBoundary: payload.id,
    newline: 'windows',
    disableFileAccess: true,
    disableUrlAccess: true,
  }
}

/** nodemailer also sends a calendar object as the last alternative and as a file. */
function icalEventOf({ attachments }: MessagePayload): Pick<MailComposerOptions, 'icalEvent'> {
  const found = attachments.find(({ calendar }) => calendar !== undefined)
  if (found?.calendar === undefined) return {}
  const content = Buffer.from(found.content as string)
  return { icalEvent: { method: found.calendar, filename: found.filename ?? 'invite.ics', content } }
}

function toEnvelope({ from, to }: Envelope): { from: Address | string; to: Address[] } {
  return {
    from: from === '' ? '' : toAddress({ address: from }),
    to: to.map((address) => toAddress({ address })),
  }
}

interface Address {
  name: string
  address: string
}

function toAddress({ name, address }: Mailbox): Address {
  return { name: name ?? '', address }
}
