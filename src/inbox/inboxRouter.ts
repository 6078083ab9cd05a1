import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import express, { type Request, type RequestHandler, type Response, Router } from 'express'
import { z } from 'zod'
import { ThreadpostError } from '../index.js'
import { hostCheck, Hosts, refuseForeignChanges } from '../web/access.js'
import { type EventStream, EventStreams } from '../web/eventStream.js'
import { listen } from '../web/listen.js'
import { frameDocument, ImageLinks, isImage, sendImage } from '../web/mailFrame.js'
import { asMiddleware, type Middleware, trailingSlash } from '../web/middleware.js'
import { assetRouter, refuseImageRequests, pageHeaders } from '../web/page.js'
import { problemHandler } from '../web/problem.js'
import { checked } from '../web/requestSchema.js'
import type { Inbox } from './inbox.js'
import { inboxApi } from './inboxApi.js'
import { inboxPage } from './inboxPage.js'
import { defaultView, type View, VIEWS } from './mailView.js'
import type { ReceivedMail } from './receivedMail.js'

export interface InboxRouterOptions {
  /** URL that the brand in the corner links to, relative to the mount path. @default the inbox itself */
  home?: string
  /** URL of the mailer's dashboard, relative to the mount path: the inbox links to it. @default none */
  dashboard?: string
  /**
   * Passes only requests that may read the mail, like a handler in front of the router. It doesn't see requests for the images
   * in a message: a browser sends no cookies with them, so their URLs are signed. @default every request passes
   */
  guard?(...handled: Parameters<Middleware>): unknown
  /**
   * Host names of the server, such as `'mail.acme.example'`, with a port to allow only that one. Without a `guard`, the router
   * answers only requests from this machine to a name such as `localhost`, and requests to these hosts; `'*'` means every host.
   * @default none
   */
  hosts?: readonly string[]
}

const Options = z.strictObject({
  home: z.string().optional(),
  dashboard: z.string().optional(),
  guard: z.custom<RequestHandler>((value) => typeof value === 'function', 'must be a function').optional(),
  hosts: Hosts.optional(),
})

/** Minimum milliseconds between two updates. */
const UPDATE_INTERVAL = 200
/** Messages in the list. The search also finds older ones. */
const MAX_LISTED = 200

/**
 * Pages and a JSON API for an inbox, for any mount path. Without a `guard` there is no login: every client that `hosts` lets in
 * can read all mail and simulate faults. Requests of other sites' pages change nothing.
 *
 * `GET /`, `messages/:id`, `messages/:id/mail.eml`, `messages/:id/attachments/:index`,
 * `messages/:id/images/:index/:ticket` · `GET events`, server-sent ·
 * the API for end-to-end tests under `api/`: see {@link inboxApi}.
 * @throws ThreadpostError `INVALID_OPTIONS`
 */
export function inboxRouter(inbox: Inbox, options: InboxRouterOptions = {}): Middleware {
  if ((inbox as Inbox | undefined) === undefined)
    throw new ThreadpostError(
      'INVALID_OPTIONS',
      "inbox: is required: mailer.inbox exists only with the transport 'inbox:', so mount the router only then",
      { path: 'inbox' },
    )
  const { guard, hosts, home, dashboard } = checked(Options, options, 'INVALID_OPTIONS')
  const router = Router()
  const links = new ImageLinks(randomBytes(32))
  // With a guard, requests need a login; without one, they need a host that no foreign page can take.
  if (guard === undefined || hosts !== undefined) router.use(hostCheck(hosts))
  router.use(refuseForeignChanges, trailingSlash, pageHeaders, refuseImageRequests)
  router.get(
    '/messages/:id/images/:index/:ticket',
    async ({ params: { id, index, ticket } }, response, next) => {
      if (!links.allows(id, Number(index), ticket)) return next()
      const image = (await mailOrThrow(inbox, id)).attachments[Number(index)]
      if (image === undefined || !isImage(image))
        throw new ThreadpostError('NOT_FOUND', 'The message has no such image.')
      sendImage(response, image)
    },
  )
  if (guard !== undefined) router.use(guard)
  router.use('/assets', assetRouter(`${import.meta.dirname}/assets`, ['inbox.css', 'inbox.js']))
  router.use('/api', inboxApi(inbox))

  const show = async (
    { query }: Request,
    response: Response,
    root: string,
    opened?: { mail: ReceivedMail; view: View },
  ) => {
    const q = typeof query['q'] === 'string' ? query['q'].slice(0, 500) : ''
    response.type('html').send(
      inboxPage({
        mails: await inbox.summaries(q, MAX_LISTED),
        kept: inbox.stored().length,
        q,
        faults: inbox.faults.list(),
        root,
        smtpUrl: inbox.url,
        ...(opened === undefined ? {} : { opened }),
        ...(home === undefined ? {} : { home }),
        ...(dashboard === undefined ? {} : { dashboard }),
      }),
    )
  }

  router.get('/', (request, response) => show(request, response, ''))

  router.get('/messages/:id', async (request, response) => {
    const mail = await inbox.find(request.params.id)
    if (mail === undefined) {
      response.status(404)
      await show(request, response, '../')
      return
    }
    const wanted = VIEWS.find((view) => view === request.query['view'])
    await show(request, response, '../', { mail, view: wanted ?? defaultView(mail) })
  })

  router.get('/messages/:id/html', async (request, response) => {
    const mail = await mailOrThrow(inbox, request.params.id)
    const { html, policy } = frameDocument(mail.html ?? '', mail.attachments, (index) =>
      links.addressOf(mail.id, index),
    )
    response.set('Content-Security-Policy', policy).type('html').send(html)
  })

  router.get('/messages/:id/mail.eml', async (request, response) => {
    const mail = await mailOrThrow(inbox, request.params.id)
    const name = mail.subject.replace(/[^\p{L}\p{N} ._-]/gu, '').trim()
    response.attachment(`${name === '' ? 'mail' : name.slice(0, 80)}.eml`)
    response.type('message/rfc822').send(Buffer.from(mail.raw))
  })

  router.get('/messages/:id/attachments/:index', async (request, response) => {
    const mail = await mailOrThrow(inbox, request.params.id)
    const attachment = mail.attachments[Number(request.params.index)]
    if (attachment === undefined)
      throw new ThreadpostError('NOT_FOUND', 'The message has no such attachment.')
    // Never served with its own type: an HTML attachment would open as a page of this site.
    response.set('Content-Security-Policy', 'sandbox')
    response.attachment(attachment.filename?.replace(/\p{Cc}/gu, '') ?? 'attachment')
    response.type('application/octet-stream').send(Buffer.from(attachment.content))
  })

  const streams = new EventStreams()
  router.get('/events', (_request, response) => {
    const stream = streams.open(response)
    if (stream !== undefined) sendUpdates(inbox, stream)
  })

  router.use(problemHandler)
  return asMiddleware(router)
}

/** Sends the inbox's state after each change, at most a few times a second. */
function sendUpdates(inbox: Inbox, stream: EventStream): void {
  let timer: NodeJS.Timeout | undefined
  const update = () => {
    timer = undefined
    stream.send({ count: inbox.count, kept: inbox.stored().length, faults: inbox.faults.list() })
  }
  const schedule = () => {
    timer ??= setTimeout(update, UPDATE_INTERVAL)
  }
  for (const event of ['cleared', 'faults'] as const) inbox.on(event, schedule)
  inbox.on('received', schedule)
  stream.onClose(() => {
    clearTimeout(timer)
    for (const event of ['cleared', 'faults'] as const) inbox.off(event, schedule)
    inbox.off('received', schedule)
  })
  update()
}

async function mailOrThrow(inbox: Inbox, id: string): Promise<ReceivedMail> {
  const mail = await inbox.find(id)
  if (mail === undefined) throw new ThreadpostError('NOT_FOUND', 'The inbox has no message with this ID.')
  return mail
}

interface InboxServerOptions {
  /** 0 selects any free port. */
  port: number
  host: string
  /** See {@link InboxRouterOptions.hosts}. */
  hosts?: readonly string[]
}

/** Serves the pages and the API of an inbox at the root of their own server. */
export async function startInboxServer(
  inbox: Inbox,
  { port, host, hosts }: InboxServerOptions,
): Promise<{ url: string; close(): Promise<void> }> {
  const app = express()
  app.disable('x-powered-by')
  app.use(inboxRouter(inbox, hosts === undefined ? {} : { hosts }))
  const server = createServer(app)
  const url = await listen(server, port, host)
  return {
    url,
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      // Clients of the event stream never disconnect on their own.
      server.closeAllConnections()
      await closed
    },
  }
}
