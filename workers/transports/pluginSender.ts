import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import nodemailer from 'nodemailer'
import type { Json } from '../../src/protocol/tasks.js'
import type { PluginTransport, TransportReport } from '../../src/protocol/transportConfig.js'
import { mailOptions } from '../compose/mailOptions.js'
import { whileLoading } from '../heartbeat.js'
import { ServiceAnswers } from './serviceAnswers.js'
import { withTimeout, loaded, reportOf } from './serviceReport.js'
import { SingleCallSender } from './singleCallSender.js'
import type { SendResult, OutgoingMail, Progress, Transport } from './transport.js'
import { undelivered } from './unsentOutcomes.js'

const SECRET_NAME = /auth|credential|key|pass|secret|token/i

/** What nodemailer asks of a transport plugin. */
interface Plugin {
  name: string
  version: string
  send(mail: object, callback: (error: Error | null, info: object) => void): void
  verify?: (callback: (error?: Error | null) => void) => unknown
  close?: () => void
}

/** What plugins put on their errors and on what they report; none of it can be relied on. */
interface Said {
  code?: unknown
  responseCode?: unknown
  statusCode?: unknown
  status?: unknown
  message?: unknown
  response?: unknown
  rejected?: unknown
}

/**
 * Any transport plugin of nodemailer's. It says how it ended, not how far it got: an error that carries neither the
 * server's answer nor a sign that no connection stood leaves it open whether the message was sent.
 */
export class PluginSender implements Transport {
  readonly #config: PluginTransport
  readonly #answers: ServiceAnswers
  readonly #handOver: SingleCallSender
  readonly #plugin: Promise<Plugin>
  #closed: Promise<void> | undefined

  constructor(config: PluginTransport, calls: number) {
    this.#config = config
    this.#answers = new ServiceAnswers(secretsIn(config.options))
    this.#handOver = new SingleCallSender(calls)
    this.#plugin = load(config)
    this.#plugin.catch(() => undefined)
  }

  async ready(): Promise<void> {
    await this.#plugin
  }

  send(parcel: OutgoingMail, progress: Progress, deadline: number): Promise<SendResult> {
    const { envelope, letter, parts } = parcel
    const to = [...envelope.to]
    return this.#handOver.run(parcel, progress, deadline, async () => {
      const plugin = await this.#plugin.catch((error: unknown) => this.#problem(error))
      if ('verdict' in plugin) return plugin
      try {
        const info = await nodemailer
          .createTransport(plugin as never)
          .sendMail({ ...mailOptions(letter, parts), envelope: { from: envelope.from, to } })
        return this.#accepted(info, to)
      } catch (error) {
        return this.#failed(error, to)
      }
    })
  }

  verify(): Promise<TransportReport> {
    return reportOf({ transport: this.#config.name, host: this.#config.module, port: 0 }, async () => {
      const plugin = await this.#plugin.catch((error: unknown) => this.#problem(error))
      if ('verdict' in plugin) return plugin
      try {
        await withTimeout(verified(plugin))
        return this.#answers.answered({ status: 250, text: 'ready' }, [])
      } catch (error) {
        return this.#problem(error)
      }
    })
  }

  async retire(heir: Transport): Promise<void> {
    await this.#handOver.retire(heir)
    await this.#close()
  }

  async quit(): Promise<void> {
    await this.#handOver.quit()
    await this.#close()
  }

  #close(): Promise<void> {
    return (this.#closed ??= this.#plugin.then((plugin) => plugin.close?.()).catch(() => undefined))
  }

  #problem(error: unknown): SendResult {
    return undelivered({ code: 'CONNECTION_FAILED', message: this.#answers.problem(error) })
  }

  #accepted({ response, rejected }: Said, to: readonly string[]): SendResult {
    const text = typeof response === 'string' ? response : 'accepted'
    const delivered = this.#answers.answered({ status: 250, text }, to)
    const refused = new Set(Array.isArray(rejected) ? rejected.map(addressOf) : [])
    for (const recipient of delivered.recipients)
      if (refused.has(recipient.address)) recipient.result = 'rejected'
    if (delivered.recipients.some(({ result }) => result === 'accepted')) return delivered
    return {
      ...delivered,
      verdict: { result: 'rejected', code: 'SMTP_REJECTED' },
      message: 'The plugin reports that every recipient was refused.',
    }
  }

  #failed(error: unknown, to: readonly string[]): SendResult {
    const { code, responseCode, statusCode, status, message } = (error ?? {}) as Said
    const text = typeof message === 'string' ? message : 'an error without a message'
    if (code === 'EAUTH') return this.#answers.answered({ status: 401, text }, to)
    // An SMTP reply: 4yz may be tried again, 5yz not. An HTTP status says it the other way round.
    if (typeof responseCode === 'number' && responseCode >= 400)
      return this.#answers.answered({ status: responseCode < 500 ? 503 : 400, text }, to)
    const http = [statusCode, status].find((value) => typeof value === 'number' && value >= 300)
    if (typeof http === 'number') return this.#answers.answered({ status: http, text }, to)
    const unanswered = this.#answers.failed(error, to)
    if (unanswered.verdict.result !== 'uncertain') return unanswered
    return {
      ...unanswered,
      message: `The plugin failed and doesn't say whether the message was sent: ${this.#answers.problem(text)}`,
    }
  }
}

/** As nodemailer asks it: by a callback, which may be given nothing. A promise that fails says the same. */
function verified(plugin: Plugin): Promise<void> {
  return new Promise((resolve, reject) => {
    if (plugin.verify === undefined) resolve()
    else
      Promise.resolve(
        plugin.verify((error) => (error === null || error === undefined ? resolve() : reject(error))),
      ).catch(reject)
  })
}

/** Found from where the process runs. What is exported is a class, a function that makes a transport, or one. */
async function load({ module, options }: PluginTransport): Promise<Plugin> {
  const found = locate(module)
  const { default: exported } = (await loaded(found, module, 'The transport is the plugin')) as {
    default: unknown
  }
  const plugin = (
    isClass(exported) ? new exported(options) : isFunction(exported) ? exported(options) : exported
  ) as Plugin | undefined
  if (typeof plugin?.send !== 'function')
    throw new Error(
      `${module} is no transport plugin: its default export must have, or make, something with send()`,
    )
  return plugin
}

async function locate(module: string): Promise<unknown> {
  const from = createRequire(path.join(process.cwd(), 'index.js'))
  return whileLoading(() => import(pathToFileURL(from.resolve(module)).href) as Promise<unknown>)
}

function isClass(value: unknown): value is new (options: object) => unknown {
  return isFunction(value) && typeof (value.prototype as { send?: unknown } | undefined)?.send === 'function'
}

function isFunction(value: unknown): value is (options: object) => unknown {
  return typeof value === 'function'
}

/** What options hold under names such as `apiKey`, `auth.pass` or `token`. */
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
