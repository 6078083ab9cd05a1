import { type Request, type RequestHandler, Router } from 'express'
import { type ListQuery, type Mail, type Mailer, type Status, ThreadpostError } from '../index.js'
import { type Auth, guards } from './auth.js'
import { jsonBody } from './body.js'
import { problems } from './problem.js'

export interface MailRouterOptions {
  /** Who may use it. There is no default: nothing is open by accident. */
  auth: Auth
  /** Bytes of a request's body. @default 10_485_760 (10 MB) */
  bodyLimit?: number
}

const STATUSES: Record<Status, true> = {
  queued: true,
  sending: true,
  deferred: true,
  held: true,
  sent: true,
  partial: true,
  failed: true,
  expired: true,
  cancelled: true,
}

/**
 * The HTTP API over a mailer, to be mounted in an Express app under any path.
 *
 * `POST /messages` (scope send) answers 202 with the receipt; `GET /messages` and `GET /messages/:id` (scope read)
 * tell what became of them; `GET /healthz` and `/readyz` are open. Errors are `application/problem+json`.
 * @throws ThreadpostError `INVALID_OPTIONS` without `auth`
 */
export function mailRouter(mailer: Mailer, options: MailRouterOptions): Router {
  const allow = guards((options as Partial<MailRouterOptions> | undefined)?.auth)
  const router = Router()
  router.use(apiHeaders)

  router.post(
    '/messages',
    allow('send'),
    jsonBody(options.bodyLimit ?? 10 * 1024 * 1024),
    async (request, response) => {
      const receipt = await mailer.send(mailOf(request))
      // Relative, so that it holds wherever the router is mounted.
      response.status(202).set('Location', `messages/${receipt.id}`).json(receipt)
    },
  )

  router.get('/messages', allow('read'), async (request, response) => {
    response.json(await mailer.list(listQueryOf(request)))
  })

  router.get('/messages/:id', allow('read'), async (request, response) => {
    const { id } = request.params
    const message = await mailer.find(String(id))
    if (message === undefined) throw new ThreadpostError('NOT_FOUND', 'There is no such message.')
    response.json(message)
  })

  router.get('/healthz', (_request, response) => {
    response.json({ status: 'ok' })
  })

  router.get('/readyz', async (_request, response) => {
    await mailer.stats()
    response.json({ status: 'ready' })
  })

  router.use(() => {
    throw new ThreadpostError('NOT_FOUND', 'There is nothing at this address.')
  })
  router.use(problems)
  return router
}

const apiHeaders: RequestHandler = (_request, response, next) => {
  response.set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' })
  next()
}

/** The body as it is, for the mailer checks every field; the header adds the idempotency key. */
function mailOf(request: Request): Mail {
  const mail = request.body as Mail
  // A prepared mail brings its own id, Message-ID and date: that is for the process that owns the mailer.
  if ('prepared' in mail)
    throw invalid('prepared', 'is not taken over HTTP; send the mail itself with an Idempotency-Key')
  const header = request.get('Idempotency-Key')
  if (header === undefined || Array.isArray(mail)) return mail
  // The draft standard quotes it, most clients don't.
  const key = /^"(.*)"$/.exec(header)?.[1] ?? header
  if (mail.idempotencyKey !== undefined && mail.idempotencyKey !== key)
    throw new ThreadpostError('INVALID_MESSAGE', 'idempotencyKey: differs from the Idempotency-Key header', {
      path: 'idempotencyKey',
    })
  return { ...mail, idempotencyKey: key }
}

function listQueryOf(request: Request): ListQuery {
  const query: ListQuery = {}
  for (const [name, value] of Object.entries(request.query)) {
    if (typeof value !== 'string') throw invalid(name, 'is given more than once')
    if (name === 'status') query.status = statusOf(value)
    else if (name === 'limit') query.limit = Number(value)
    else if (name === 'q' || name === 'cursor') query[name] = value
    else throw invalid(name, 'is not a parameter; known are status, q, limit and cursor')
  }
  return query
}

function statusOf(value: string): Status {
  if (!Object.hasOwn(STATUSES, value))
    throw invalid('status', `must be one of ${Object.keys(STATUSES).join(', ')}`)
  return value as Status
}

function invalid(path: string, why: string): ThreadpostError {
  return new ThreadpostError('INVALID_MESSAGE', `${path}: ${why}`, { path })
}
