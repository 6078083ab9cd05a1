import { type Request, type RequestHandler, type Response, Router } from 'express'
import { z } from 'zod'
import { ThreadpostError } from '../../index.js'
import type { Mailer } from '../../mailer.js'
import { refuseBody } from '../../web/bodyLimit.js'
import { asMiddleware, methodNotAllowed, type Middleware } from '../../web/middleware.js'
import { notFound, problemHandler, sendProblem } from '../../web/problem.js'
import { checked } from '../../web/requestSchema.js'
import { brevoEvents } from './brevoEvents.js'
import { type EventBatch, EventsRefused, type EventSource, requireToken } from './eventSource.js'
import { mailgunEvents } from './mailgunEvents.js'
import { mailjetEvents } from './mailjetEvents.js'
import { postmarkEvents } from './postmarkEvents.js'
import { resendEvents } from './resendEvents.js'
import { sendgridEvents } from './sendgridEvents.js'
import { type SesEventOptions, sesEvents } from './sesEvents.js'

/** Options of {@link deliveryEventsRouter}: the providers that may report, each with what proves that it is the one. */
export interface DeliveryEventsOptions {
  /** The verification key of SendGrid's signed Event Webhook, as SendGrid shows it. @default none */
  sendgrid?: { publicKey: string }
  /** The ARNs of the SNS topics to which Amazon SES publishes. Their subscriptions are confirmed, and no others. @default none */
  ses?: SesEventOptions
  /** Mailgun's HTTP webhook signing key. @default none */
  mailgun?: { signingKey: string }
  /** User name and password in the URL that Postmark calls. @default none */
  postmark?: { username: string; password: string }
  /** The secret of Resend's webhook: `whsec_…`. @default none */
  resend?: { secret: string }
  /** The token that Brevo sends as `Authorization: Bearer`, or in the URL as `?token=`. @default none */
  brevo?: { token: string }
  /** The token in the URL that Mailjet calls, as the password or as `?token=`. @default none */
  mailjet?: { token: string }
  /** The token of your own mail server, which posts bounces and complaints as whole messages. @default none */
  raw?: { token: string }
  /** Maximum size of a request's body in bytes. @default 1_048_576 (1 MB) */
  bodyLimit?: number
}

const secret = () => z.string().min(8).max(4_096)

const Options = z.strictObject({
  sendgrid: z.strictObject({ publicKey: secret() }).optional(),
  ses: z
    .strictObject({
      topics: z
        .array(z.string().regex(/^arn:/, { message: 'must be the ARN of an SNS topic' }))
        .min(1)
        .max(100),
      fetch: z.custom<typeof fetch>((value) => typeof value === 'function').optional(),
    })
    .optional(),
  mailgun: z.strictObject({ signingKey: secret() }).optional(),
  postmark: z.strictObject({ username: z.string().min(1).max(256), password: secret() }).optional(),
  resend: z.strictObject({ secret: secret() }).optional(),
  brevo: z.strictObject({ token: secret() }).optional(),
  mailjet: z.strictObject({ token: secret() }).optional(),
  raw: z.strictObject({ token: secret() }).optional(),
  bodyLimit: z.int().min(1).max(100_000_000).default(1_048_576),
})

/** Events of one request. */
const MAX_EVENTS = 10_000

/**
 * Creates an Express router for the delivery events of providers: `POST /sendgrid`, `/ses`, `/mailgun`, `/postmark`, `/resend`,
 * `/brevo`, and `/mailjet`, for those that the options name, and `POST /raw` for bounces that arrive as mails. Each request
 * must prove that it is from the provider. It is answered with 2xx once its events are stored, so a provider repeats what was
 * not. The router reads the bodies itself, since signatures are over their bytes: mount it before `express.json()`.
 * @throws ThreadpostError `INVALID_OPTIONS`
 */
export function deliveryEventsRouter(mailer: Mailer, options: DeliveryEventsOptions): Middleware {
  const { bodyLimit, raw, ...providers } = checked(Options, options, 'INVALID_OPTIONS')
  const sources: Record<string, EventSource | undefined> = {
    sendgrid: providers.sendgrid && sendgridEvents(providers.sendgrid),
    ses: providers.ses && sesEvents(providers.ses as SesEventOptions),
    mailgun: providers.mailgun && mailgunEvents(providers.mailgun),
    postmark: providers.postmark && postmarkEvents(providers.postmark),
    resend: providers.resend && resendEvents(providers.resend),
    brevo: providers.brevo && brevoEvents(providers.brevo),
    mailjet: providers.mailjet && mailjetEvents(providers.mailjet),
  }
  const router = Router()
  const post = (name: string, handle: (request: Request, body: Buffer) => Promise<EventCounts>): void => {
    router.post(`/${name}`, receiving(bodyLimit, handle))
    router.all(`/${name}`, methodNotAllowed(['post']))
  }
  for (const [name, source] of Object.entries(sources))
    if (source !== undefined)
      post(name, async (request, body) => store(mailer, await source.read(request, body)))
  if (raw !== undefined)
    post('raw', async (request, body) => {
      requireToken(request, raw.token)
      const matched = await mailer.report({ raw: body })
      return { matched, unmatched: 1 - Math.min(1, matched), ignored: 0 }
    })
  router.use(notFound, problemHandler)
  return asMiddleware(router)
}

/** The answer to a request. */
interface EventCounts {
  matched: number
  /** Events about no message that is kept, or about somebody to whom it was not sent. */
  unmatched: number
  /** Events that say nothing about the delivery. */
  ignored: number
}

async function store(mailer: Mailer, { reports, ignored, once }: EventBatch): Promise<EventCounts> {
  if (reports.length > MAX_EVENTS)
    throw new EventsRefused('UNREADABLE_BODY', `The request has more than ${MAX_EVENTS} events.`)
  const named = once === undefined ? {} : { once }
  const counts = (matched: number, left: readonly unknown[]): EventCounts => ({
    matched,
    unmatched: left.length - matched,
    ignored: ignored + reports.length - left.length,
  })
  try {
    // The name of a request is stored even if the request says nothing: it must not be used for another.
    const empty = reports.length === 0 && once === undefined
    return counts(empty ? 0 : await mailer.report(reports, named), reports)
  } catch (error) {
    const paths = error instanceof ThreadpostError ? (error.paths ?? []) : []
    const invalid = new Set(paths.flatMap((path) => /^\[(\d+)\]/.exec(path)?.[1] ?? []).map(Number))
    if (invalid.size === 0) throw error
    // An event that isn't understood must not keep the provider from reporting the others.
    const left = reports.filter((_, index) => !invalid.has(index))
    return counts(await mailer.report(left, named), left)
  }
}

function receiving(
  limit: number,
  handle: (request: Request, body: Buffer) => Promise<EventCounts>,
): RequestHandler {
  return async (request, response) => {
    try {
      const body = await bodyOf(request, limit, response)
      if (body !== undefined) response.json(await handle(request, body))
    } catch (error) {
      if (error instanceof EventsRefused) sendProblem(response, error.code, error.message)
      else if (error instanceof ThreadpostError && error.code === 'CONFLICT')
        sendProblem(response, 'QUEUE_UNAVAILABLE', 'The message is still being sent; report the event again.')
      else throw error
    }
  }
}

const PARSED =
  'The body was parsed before it reached deliveryEventsRouter, and signatures are over its bytes: mount the router before express.json() and other body parsers'

/** @returns undefined if the request was answered already */
async function bodyOf(request: Request, limit: number, response: Response): Promise<Buffer | undefined> {
  const parsed: unknown = request.body
  if (Buffer.isBuffer(parsed)) return parsed
  if (request.readableEnded || request.readableDidRead) {
    sendProblem(response, 'INVALID_OPTIONS', PARSED)
    return undefined
  }
  if (request.get('Content-Encoding') !== undefined && request.get('Content-Encoding') !== 'identity') {
    sendProblem(response, 'UNSUPPORTED_MEDIA_TYPE', 'The body must not be compressed.')
    return undefined
  }
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > limit) {
        refuseBody(request, response, `The body is larger than ${limit} bytes (bodyLimit).`)
        return undefined
      }
      chunks.push(chunk)
    }
  } catch {
    // The client went away: that is no defect, which the host would log.
    sendProblem(response, 'UNREADABLE_BODY', 'The body arrived incomplete.')
    return undefined
  }
  return Buffer.concat(chunks)
}
