import { type Request, type RequestHandler, Router } from 'express'
import { z } from 'zod'
import { type Mail, type Mailer, type Receipt, ThreadpostError } from '../index.js'
import { bodyless, jsonBody } from './body.js'
import type { Allow } from './gate.js'
import { type Problem, problemOf } from './problem.js'
import { checked, listQueryOf } from './query.js'

export interface MessageRoutes {
  mailer: Mailer
  allow: Allow
  /** Bytes of a request's body. */
  bodyLimit: number
  /** Messages of one batch. */
  batchLimit: number
}

/** What a batch answers with for each mail, in order. */
export type BatchResult = Receipt | Problem

/** Sending, finding and changing messages. */
export function messageRoutes({ mailer, allow, bodyLimit, batchLimit }: MessageRoutes): Router {
  const router = Router()

  router.post('/messages', allow('send'), jsonBody(bodyLimit), async (request, response) => {
    const receipt = await mailer.send(mailOf(request))
    // Relative, so that it holds wherever the router is mounted.
    response.status(202).set('Location', `messages/${receipt.id}`).json(receipt)
  })

  router.post('/messages/batch', allow('send'), jsonBody(bodyLimit), async (request, response) => {
    const results = await mailer.sendMany(mailsOf(request, batchLimit))
    // Where the queue takes nothing at all, the whole batch is to be tried again.
    const [first] = results
    if (first instanceof ThreadpostError && results.every(isQueueProblem)) throw first
    const answers: BatchResult[] = results.map((result) =>
      result instanceof ThreadpostError ? problemOf(result) : result,
    )
    response.status(202).json({ results: answers })
  })

  router.get('/messages', allow('read'), async (request, response) => {
    response.json(await mailer.list(listQueryOf(request.query)))
  })

  router.get('/messages/:id', allow('read'), async (request, response) => {
    const message = await mailer.find(idOf(request))
    if (message === undefined) throw new ThreadpostError('NOT_FOUND', 'There is no such message.')
    response.json(message)
  })

  const change = (path: string, action: (id: string) => Promise<unknown>) => {
    const handler: RequestHandler = async (request, response) => {
      response.json(await action(idOf(request)))
    }
    router.post(`/messages/:id/${path}`, allow('manage'), bodyless, handler)
  }
  change('retry', (id) => mailer.retry(id))
  change('cancel', (id) => mailer.cancel(id))
  change('mark-sent', (id) => mailer.markSent(id))

  return router
}

function idOf({ params }: Request): string {
  return String(params['id'])
}

/** The body as it is, for the mailer checks every field; the header adds the idempotency key. */
function mailOf(request: Request): Mail {
  const mail = request.body as Mail
  refusePrepared(mail, '')
  const header = request.get('Idempotency-Key')
  if (header === undefined || Array.isArray(mail)) return mail
  // The draft standard quotes it, most clients don't.
  const key = /^"(.*)"$/.exec(header)?.[1] ?? header
  if (mail.idempotencyKey !== undefined && mail.idempotencyKey !== key)
    throw invalid('idempotencyKey', 'differs from the Idempotency-Key header')
  return { ...mail, idempotencyKey: key }
}

/** The mails of a batch: `{ messages: [...] }`, or the list alone. */
function mailsOf(request: Request, limit: number): Mail[] {
  if (request.get('Idempotency-Key') !== undefined)
    throw invalid('idempotencyKey', 'a batch has no key of its own; give each message an idempotencyKey')
  const { body } = request as { body: unknown }
  const { messages } = checked(batchSchema(limit), Array.isArray(body) ? { messages: body } : body)
  messages.forEach((mail, index) => refusePrepared(mail, `messages[${index}].`))
  return messages as Mail[]
}

/** The envelope only: what a mail must be like says the mailer, for each of them. */
function batchSchema(limit: number) {
  return z.strictObject({ messages: z.array(z.unknown()).min(1).max(limit) })
}

/** A prepared mail brings its own id, Message-ID and date: that is for the process that owns the mailer. */
function refusePrepared(mail: unknown, path: string): void {
  if (typeof mail === 'object' && mail !== null && 'prepared' in mail)
    throw invalid(`${path}prepared`, 'is not taken over HTTP; send the mail itself with an idempotencyKey')
}

function isQueueProblem(result: unknown): boolean {
  return (
    result instanceof ThreadpostError && (result.code === 'QUEUE_FULL' || result.code === 'QUEUE_UNAVAILABLE')
  )
}

function invalid(path: string, why: string): ThreadpostError {
  return new ThreadpostError('INVALID_MESSAGE', `${path}: ${why}`, { path })
}
