import type { Request, RequestHandler } from 'express'
import type { Registry } from 'prom-client'
import { z } from 'zod'
import {
  type Mail,
  type Mailer,
  type MjmlMail,
  type Receipt,
  type Schedule,
  type SuppressionInput,
  type SuppressionQuery,
  ThreadpostError,
} from '../index.js'
import { invalid, type Problem, problemOf } from '../web/problem.js'
import { checked, listQueryOf } from '../web/requestSchema.js'
import { metricsRegistry } from './prometheus.js'
import { EraseRequest, RenderRequest, type ScheduleSummary } from './schemas/serviceSchema.js'
import { ListSuppressions, RemoveSuppression } from './schemas/suppressionSchema.js'
import { Redelivery } from './schemas/webhookSchema.js'

/** The result for each mail of a batch, in order. */
type BatchResult = Receipt | Problem

/**
 * Handlers that send, find and change messages.
 * @param batchLimit maximum number of messages per batch
 * @param trusts whether the MJML of a request may use what belongs to the application
 */
export function messageHandlers(mailer: Mailer, batchLimit: number, trusts: (request: Request) => boolean) {
  const asTrusted = (request: Request, mail: Mail): Mail =>
    trusts(request) || !hasMjml(mail) ? mail : { ...mail, untrusted: true }

  const changing = (action: (id: string) => Promise<unknown>): RequestHandler => {
    return async (request, response) => {
      response.json(await action(idOf(request)))
    }
  }

  return {
    sendMessage: async (request, response) => {
      const receipt = await mailer.send(asTrusted(request, mailOf(request)))
      // The URL is relative, so that it works wherever the router is mounted.
      response.status(202).set('Location', `messages/${receipt.id}`).json(receipt)
    },

    sendMessages: async (request, response) => {
      const results = await mailer.sendMany(
        mailsOf(request, batchLimit).map((mail) => asTrusted(request, mail)),
      )
      // If the queue stored none of them, the client should retry the whole batch.
      const [first] = results
      if (first instanceof ThreadpostError && results.every(isQueueProblem)) throw first
      const answers: BatchResult[] = results.map((result) =>
        result instanceof ThreadpostError ? problemOf(result) : result,
      )
      response.status(202).json({ results: answers })
    },

    listMessages: async (request, response) => {
      response.json(await mailer.list(listQueryOf(request.query)))
    },

    findMessage: async (request, response) => {
      const message = await mailer.find(idOf(request))
      if (message === undefined) throw new ThreadpostError('NOT_FOUND', 'No message has this id.')
      response.json(message)
    },

    retryMessage: changing((id) => mailer.retry(id)),
    cancelMessage: changing((id) => mailer.cancel(id)),
    markMessageSent: changing((id) => mailer.markSent(id)),
  } satisfies Record<string, RequestHandler>
}

function idOf({ params }: Request): string {
  return String(params['id'])
}

/** The body, unchecked because the mailer validates every field, with the idempotency key of the header. */
function mailOf(request: Request): Mail {
  const mail = request.body as Mail
  refusePrepared(mail, '')
  const header = request.get('Idempotency-Key')
  if (header === undefined || Array.isArray(mail)) return mail
  // The draft standard quotes the key; most clients don't.
  const key = /^"(.*)"$/.exec(header)?.[1] ?? header
  if (mail.idempotencyKey !== undefined && mail.idempotencyKey !== key)
    throw invalid('idempotencyKey', 'differs from the Idempotency-Key header')
  return { ...mail, idempotencyKey: key }
}

/** The mails of a batch: `{ messages: [...] }`, or the list alone. */
function mailsOf(request: Request, limit: number): Mail[] {
  if (request.get('Idempotency-Key') !== undefined)
    throw invalid('idempotencyKey', 'a batch has no key of its own; set idempotencyKey in each message')
  const { body } = request as { body: unknown }
  const { messages } = checked(envelopeOf(limit), Array.isArray(body) ? { messages: body } : body)
  messages.forEach((mail, index) => refusePrepared(mail, `messages[${index}].`))
  return messages as Mail[]
}

/** Checks the envelope of a batch only; the mailer validates each mail. */
function envelopeOf(limit: number) {
  return z.strictObject({ messages: z.array(z.unknown()).min(1).max(limit) })
}

function hasMjml(mail: unknown): mail is MjmlMail {
  return typeof mail === 'object' && mail !== null && 'mjml' in mail
}

/** A prepared mail has its own id, Message-ID and date, which only the process that owns the mailer may set. */
function refusePrepared(mail: unknown, path: string): void {
  if (typeof mail === 'object' && mail !== null && 'prepared' in mail)
    throw invalid(`${path}prepared`, 'is not accepted over HTTP; send the mail itself with an idempotencyKey')
}

function isQueueProblem(result: unknown): boolean {
  return (
    result instanceof ThreadpostError && (result.code === 'QUEUE_FULL' || result.code === 'QUEUE_UNAVAILABLE')
  )
}

/** Recipients and data of a schedule's mail are not shown, as in lists of messages. */
function toSummary({ mail, ...schedule }: Schedule): ScheduleSummary {
  const { template, subject } = mail
  return {
    ...schedule,
    ...(typeof template === 'string' ? { template } : {}),
    ...(typeof subject === 'string' ? { subject } : {}),
  }
}

/**
 * Handlers for erasure, templates, schedules, statistics, health checks and the OpenAPI document.
 * @param who returns the name of the token that a request has
 */
export function serviceHandlers(mailer: Mailer, who: (request: Request) => string | undefined) {
  let metrics: Promise<Registry> | undefined

  return {
    eraseAddress: async (request, response) => {
      const { address, suppressions = false } = checked(EraseRequest, request.body)
      const by = who(request)
      response.json(await mailer.erase(address, { suppressions, ...(by === undefined ? {} : { by }) }))
    },

    listTemplates: async (_request, response) => {
      response.json({ templates: await mailer.describeTemplates() })
    },

    renderTemplate: async (request, response) => {
      const { data = {}, locale } = checked(RenderRequest, request.body)
      const name = String(request.params['name'])
      response.json(await mailer.render(name, data, locale === undefined ? {} : { locale }))
    },

    listSchedules: async (_request, response) => {
      response.json({ schedules: (await mailer.schedules()).map(toSummary) })
    },

    removeSchedule: async (request, response) => {
      const { name } = request.params
      const known = (await mailer.schedules()).some((schedule) => schedule.name === name)
      if (!known || !(await mailer.unschedule(String(name))))
        throw new ThreadpostError('NOT_FOUND', 'No schedule has this name.')
      response.status(204).end()
    },

    readStats: async (_request, response) => {
      response.json(await mailer.stats())
    },

    readMetrics: async (_request, response) => {
      const registry = await (metrics ??= metricsRegistry(mailer))
      response.set('Content-Type', registry.contentType).send(await registry.metrics())
    },

    // Most processes never need the document, so it is generated on the first request.
    readDocument: async (_request, response) => {
      const { openApiDocument } = await import('./openapi.js')
      response.json(openApiDocument())
    },

    isAlive: (_request, response) => {
      response.json({ status: 'ok' })
    },

    isReady: async (_request, response) => {
      await mailer.stats()
      response.json({ status: 'ready' })
    },
  } satisfies Record<string, RequestHandler>
}

/** Handlers for the list of addresses that get no more mail. */
export function suppressionHandlers({ suppressions }: Mailer) {
  return {
    listSuppressions: async (request, response) => {
      response.json(await suppressions.list(checked(ListSuppressions, request.query) as SuppressionQuery))
    },

    addSuppression: async (request, response) => {
      response.status(201).json(await suppressions.add(request.body as SuppressionInput))
    },

    removeSuppression: async (request, response) => {
      const { address, ...which } = checked(RemoveSuppression, request.query)
      if (!(await suppressions.remove(address, which)))
        throw new ThreadpostError('NOT_FOUND', 'This address is not on the list.')
      response.status(204).end()
    },

    exportSuppressions: async (_request, response) => {
      response.type('text/csv').set('Content-Disposition', 'attachment; filename="suppressions.csv"')
      for await (const line of suppressions.exportCsv())
        if (!response.write(line))
          await new Promise((resolve) => response.once('drain', resolve).once('close', resolve))
      response.end()
    },

    importSuppressions: async (request, response) => {
      response.json(await suppressions.importCsv(request.body as string))
    },
  } satisfies Record<string, RequestHandler>
}

/** Handlers for the endpoints that receive the mailer's events. */
export function webhookHandlers({ webhooks }: Mailer) {
  return {
    listWebhooks: async (_request, response) => {
      response.json({ webhooks: (await webhooks?.list()) ?? [] })
    },

    redeliverWebhook: async (request, response) => {
      if (webhooks === undefined) throw new ThreadpostError('NOT_FOUND', 'There is no such webhook.')
      const { event } = checked(Redelivery, request.body ?? {})
      const id = String(request.params['id'])
      response.json({ events: await webhooks.redeliver(id, { event }) })
    },
  } satisfies Record<string, RequestHandler>
}
