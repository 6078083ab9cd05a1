import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import express, { type Request, type RequestHandler, type Response, Router } from 'express'
import { ThreadpostError } from '../index.js'
import { type EventStream, EventStreams } from '../web/eventStream.js'
import { frameDocument, ImageLinks, isImage, sendImage } from '../web/frame.js'
import { listen } from '../web/listen.js'
import { hostCheck, trailingSlash } from '../web/middleware.js'
import { assetRouter, refuseImageRequests, pageHeaders } from '../web/page.js'
import { problemHandler } from '../web/problem.js'
import type { Inbox } from './inbox.js'
import { inboxApi } from './inboxApi.js'
import { inboxPage } from './inboxPage.js'
import { defaultView, type View, VIEWS } from './mailView.js'
import type { ReceivedMail } from './receivedMail.js'

export interface InboxRouterOptions {
  /** Where the brand in the corner leads, relative to where the router is mounted. @default to the inbox itself */
  home?: string
  /**
   * Lets only those pass who may read the mail, as a handler in front of the router would. The images in a mail are not asked:
   * a browser sends no cookies for them, so their addresses are signed. @default everybody passes
   */
  guard?: RequestHandler
}

/** Milliseconds between two words of news at least. */
const NEWS = 200
/** Mails in the list; older ones are found by searching. */
const LISTED = 200

/**
 * Pages and a JSON API for an inbox, to be mounted anywhere. Without a `guard` there is no login: everybody who reaches it
 * reads all mail, and can make it fail.
 *
 * `GET /`, `messages/:id`, `messages/:id/mail.eml`, `messages/:id/attachments/:index`,
 * `messages/:id/images/:index/:ticket` · `GET events`, server-sent ·
 * under `api/` what end-to-end tests need: see {@link inboxApi}.
 */
export function inboxRouter(inbox: Inbox, options: InboxRouterOptions = {}): Router {
  const router = Router()
  const links = new ImageLinks(randomBytes(32))
  router.use(trailingSlash, pageHeaders, refuseImageRequests)
  router.get(
    '/messages/:id/images/:index/:ticket',
    async ({ params: { id, index, ticket } }, response, next) => {
      if (!links.allows(id, Number(index), ticket)) return next()
      const image = (await found(inbox, id)).attachments[Number(index)]
      if (image === undefined || !isImage(image))
        throw new ThreadpostError('NOT_FOUND', 'The mail has no such image.')
      sendImage(response, image)
    },
  )
  if (options.guard !== undefined) router.use(options.guard)
  router.use('/assets', assetRouter(`${import.meta.dirname}/assets`, ['inbox.css', 'inbox.js']))
  router.use('/api', inboxApi(inbox))

  const show = async (
    { query }: Request,
    response: Response,
    root: string,
    opened?: { mail: ReceivedMail; view: View },
  ) => {
    const q = typeof query['q'] === 'string' ? query['q'].slice(0, 500) : ''
    const { home } = options
    response.type('html').send(
      inboxPage({
        mails: await inbox.search({ q }, LISTED),
        kept: inbox.stored().length,
        q,
        faults: inbox.faults.list(),
        root,
        smtpUrl: inbox.url,
        ...(opened === undefined ? {} : { opened }),
        ...(home === undefined ? {} : { home }),
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
    const mail = await found(inbox, request.params.id)
    const { html, policy } = frameDocument(mail.html ?? '', mail.attachments, (index) =>
      links.addressOf(mail.id, index),
    )
    response.set('Content-Security-Policy', policy).type('html').send(html)
  })

  router.get('/messages/:id/mail.eml', async (request, response) => {
    const mail = await found(inbox, request.params.id)
    const name = mail.subject.replace(/[^\p{L}\p{N} ._-]/gu, '').trim()
    response.attachment(`${name === '' ? 'mail' : name.slice(0, 80)}.eml`)
    response.type('message/rfc822').send(Buffer.from(mail.raw))
  })

  router.get('/messages/:id/attachments/:index', async (request, response) => {
    const mail = await found(inbox, request.params.id)
    const attachment = mail.attachments[Number(request.params.index)]
    if (attachment === undefined) throw new ThreadpostError('NOT_FOUND', 'The mail has no such attachment.')
    // Never as what it claims to be: an HTML attachment opened here would be a page of this site.
    response.set('Content-Security-Policy', 'sandbox')
    response.attachment(attachment.filename?.replace(/\p{Cc}/gu, '') ?? 'attachment')
    response.type('application/octet-stream').send(Buffer.from(attachment.content))
  })

  const streams = new EventStreams()
  router.get('/events', (_request, response) => {
    const stream = streams.open(response)
    if (stream !== undefined) tellNews(inbox, stream)
  })

  router.use(problemHandler)
  return router
}

/** Says, a few times a second at most, that there is something new. */
function tellNews(inbox: Inbox, stream: EventStream): void {
  let timer: NodeJS.Timeout | undefined
  const tell = () => {
    timer = undefined
    stream.send({ count: inbox.count, kept: inbox.stored().length, faults: inbox.faults.list() })
  }
  const soon = () => {
    timer ??= setTimeout(tell, NEWS)
  }
  for (const event of ['cleared', 'faults'] as const) inbox.on(event, soon)
  inbox.on('received', soon)
  stream.onClose(() => {
    clearTimeout(timer)
    for (const event of ['cleared', 'faults'] as const) inbox.off(event, soon)
    inbox.off('received', soon)
  })
  tell()
}

async function found(inbox: Inbox, id: string): Promise<ReceivedMail> {
  const mail = await inbox.find(id)
  if (mail === undefined) throw new ThreadpostError('NOT_FOUND', 'The inbox has no such mail.')
  return mail
}

interface InboxServerOptions {
  /** 0 takes any free port. */
  port: number
  host: string
  /** Answer to every host name. Only where everybody who gets here may read all mail. */
  anyHost: boolean
}

/** The pages and the API of an inbox by themselves, at the root of a server of their own. */
export async function startInboxServer(
  inbox: Inbox,
  { port, host, anyHost }: InboxServerOptions,
): Promise<{ url: string; close(): Promise<void> }> {
  const app = express()
  app.disable('x-powered-by')
  if (!anyHost) app.use(hostCheck)
  app.use(inboxRouter(inbox))
  const server = createServer(app)
  const url = await listen(server, port, host)
  return {
    url,
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      // Those who follow the news never leave by themselves.
      server.closeAllConnections()
      await closed
    },
  }
}
