import { type Request, Router } from 'express'
import { ThreadpostError } from '../index.js'
import { jsonBody, methodNotAllowed } from '../web/middleware.js'
import { invalid, notFound, problemHandler } from '../web/problem.js'
import type { Fault } from './faults.js'
import type { Inbox } from './inbox.js'
import type { MailFilter } from './mailSearch.js'
import type { ReceivedMail } from './receivedMail.js'

/** Maximum milliseconds that a request waits for a message. */
const MAX_WAIT = 120_000
const DEFAULT_WAIT = 10_000
const MAX_LISTED = 1000
/** Bytes of a request body with faults. */
const MAX_FAULTS_BODY = 100_000
/** Characters of the subject, and addresses, of each message in a list. */
const LISTED_TEXT = 1_000
const LISTED_ADDRESSES = 100

/**
 * The JSON API of an inbox, for end-to-end tests.
 *
 * `GET messages` (newest first), `messages/wait` (until one matches), `messages/:id` · `DELETE messages`, `messages/:id` ·
 * `GET`, `PUT`, `DELETE faults`. Filters: `q from to subject text attachment`. Errors are problems (RFC 9457).
 */
export function inboxApi(inbox: Inbox): Router {
  const router = Router()

  router.get('/messages', async (request, response) => {
    const { filter, limit = 100 } = queryOf(request, ['limit'])
    const messages = await inbox.search(filter, Math.min(limit, MAX_LISTED))
    response.json({ messages: messages.map(summaryOf), count: inbox.count })
  })

  router.get('/messages/wait', async (request, response) => {
    const { filter, timeout = DEFAULT_WAIT } = queryOf(request, ['timeout'])
    const disconnected = new AbortController()
    response.once('close', () => disconnected.abort())
    try {
      const wait = { where: filter, timeout: Math.min(timeout, MAX_WAIT), signal: disconnected.signal }
      response.json(detailsOf(await inbox.waitFor(wait)))
    } catch (error) {
      if (disconnected.signal.aborted) return
      throw new ThreadpostError('WAIT_TIMEOUT', (error as Error).message)
    }
  })

  router.get('/messages/:id', async (request, response) => {
    const mail = await inbox.find(request.params.id)
    if (mail === undefined) throw mailNotFound()
    response.json(detailsOf(mail))
  })

  router.delete('/messages', (_request, response) => {
    inbox.clear()
    response.status(204).end()
  })

  router.delete('/messages/:id', (request, response) => {
    if (!inbox.delete(request.params.id)) throw mailNotFound()
    response.status(204).end()
  })

  router.get('/faults', (_request, response) => {
    response.json({ faults: inbox.faults.list() })
  })

  router.put('/faults', jsonBody(MAX_FAULTS_BODY), (request, response) => {
    setFaults(inbox, request.body)
    response.json({ faults: inbox.faults.list() })
  })

  router.delete('/faults', (_request, response) => {
    inbox.faults.clear()
    response.status(204).end()
  })

  router.all(['/messages', '/messages/:id'], methodNotAllowed(['get', 'delete']))
  router.all('/faults', methodNotAllowed(['get', 'put', 'delete']))
  router.use(notFound, problemHandler)
  return router
}

/** A message in a list. */
function summaryOf(mail: ReceivedMail) {
  return {
    id: mail.id,
    receivedAt: mail.receivedAt,
    envelope: mail.envelope,
    subject: mail.subject.slice(0, LISTED_TEXT),
    from: mail.from,
    to: mail.to.slice(0, LISTED_ADDRESSES),
    cc: mail.cc.slice(0, LISTED_ADDRESSES),
    messageId: mail.messageId,
    size: mail.raw.byteLength,
    attachments: mail.attachments.length,
  }
}

/** One message. Attachments and the raw message have their own URLs, relative to the inbox's root. */
function detailsOf(mail: ReceivedMail) {
  return {
    ...summaryOf(mail),
    subject: mail.subject,
    to: mail.to,
    cc: mail.cc,
    bcc: mail.bcc,
    replyTo: mail.replyTo,
    date: mail.date,
    headers: mail.headers,
    html: mail.html,
    text: mail.text,
    links: mail.links(),
    attachments: mail.attachments.map(({ content, ...attachment }, index) => ({
      ...attachment,
      size: content.byteLength,
      href: `messages/${mail.id}/attachments/${index}`,
    })),
    eml: `messages/${mail.id}/mail.eml`,
    leftOut: mail.leftOut,
  }
}

const TEXTS = ['q', 'from', 'to', 'subject', 'text'] as const

interface ApiQuery {
  filter: MailFilter
  limit?: number
  timeout?: number
}

function queryOf(request: Request, numbers: readonly ('limit' | 'timeout')[]): ApiQuery {
  const query: ApiQuery = { filter: {} }
  for (const [name, value] of Object.entries(request.query)) {
    const text = TEXTS.find((known) => known === name)
    const number = numbers.find((known) => known === name)
    if (typeof value !== 'string') throw invalid(name, 'must be given only once')
    if (text !== undefined) query.filter[text] = value
    else if (number !== undefined) query[number] = numberOf(name, value)
    else if (name === 'attachment') query.filter.attachment = booleanOf(name, value)
    else
      throw invalid(name, `is not a parameter; use one of ${[...TEXTS, 'attachment', ...numbers].join(', ')}`)
  }
  return query
}

function numberOf(name: string, value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw invalid(name, 'must be a whole number, 0 or more')
  return Number(value)
}

function booleanOf(name: string, value: string): boolean {
  if (value !== 'true' && value !== 'false') throw invalid(name, 'must be true or false')
  return value === 'true'
}

/** Accepts a list of faults, or an object with a list under `faults`, as returned by `GET`. */
function setFaults(inbox: Inbox, body: unknown): void {
  const list: unknown = typeof body === 'object' && body !== null && 'faults' in body ? body.faults : body
  if (!Array.isArray(list)) throw invalid('faults', 'must be a list of faults')
  try {
    inbox.faults.set(list as Fault[])
  } catch (error) {
    const { message } = error as Error
    throw new ThreadpostError('INVALID_MESSAGE', message, { path: message.split(' ')[0] ?? 'faults' })
  }
}

function mailNotFound(): ThreadpostError {
  return new ThreadpostError('NOT_FOUND', 'The inbox has no message with this ID.')
}
