import { type Response, Router } from 'express'
import { assetRouter, pageHeaders } from '../express/page.js'
import { trailingSlash } from '../express/slash.js'
import { detailsOf, summaryOf } from './api.js'
import { FRAME_POLICY, frameDocument } from './frame.js'
import type { Inbox } from './inbox.js'
import type { ReceivedMail } from './store.js'
import { defaultView, inboxPage, VIEWS } from './view.js'

export interface InboxRouterOptions {
  /** Where the brand in the corner leads, relative to where the router is mounted. @default to the inbox itself */
  home?: string
}

const HEARTBEAT = 20_000

/**
 * Pages and a JSON API for an inbox, to be mounted anywhere. There is no login: whoever reaches it reads all mail.
 *
 * `GET api/messages`, newest first · `GET api/messages/:id` · `DELETE api/messages` · `GET events`, server-sent.
 */
export function inboxRouter(inbox: Inbox, options: InboxRouterOptions = {}): Router {
  const router = Router()
  router.use(trailingSlash, pageHeaders)
  router.use('/assets', assetRouter(`${import.meta.dirname}/assets`, ['inbox.css', 'inbox.js']))

  const show = async (
    response: Response,
    root: string,
    opened?: Parameters<typeof inboxPage>[0]['opened'],
  ) => {
    const mails = (await inbox.messages()).reverse()
    const { home } = options
    response.type('html').send(
      inboxPage({
        mails,
        root,
        smtpUrl: inbox.url,
        ...(opened === undefined ? {} : { opened }),
        ...(home === undefined ? {} : { home }),
      }),
    )
  }

  router.get('/', (_request, response) => show(response, ''))

  router.get('/messages/:id', async (request, response) => {
    const mail = await inbox.find(request.params.id)
    if (mail === undefined) {
      response.status(404)
      await show(response, '../')
      return
    }
    const wanted = VIEWS.find((view) => view === request.query['view'])
    await show(response, '../', { mail, view: wanted ?? defaultView(mail) })
  })

  router.get('/messages/:id/html', async (request, response) => {
    const mail = await found(inbox, request.params.id, response)
    if (mail === undefined) return
    response.set('Content-Security-Policy', FRAME_POLICY)
    response.type('html').send(frameDocument(mail.html ?? '', mail.attachments))
  })

  router.get('/messages/:id/mail.eml', async (request, response) => {
    const mail = await found(inbox, request.params.id, response)
    if (mail === undefined) return
    const name = mail.subject.replace(/[^\p{L}\p{N} ._-]/gu, '').trim()
    response.attachment(`${name === '' ? 'mail' : name.slice(0, 80)}.eml`)
    response.type('message/rfc822').send(Buffer.from(mail.raw))
  })

  router.get('/messages/:id/attachments/:index', async (request, response) => {
    const mail = await found(inbox, request.params.id, response)
    const attachment = mail?.attachments[Number(request.params.index)]
    if (attachment === undefined) {
      if (mail !== undefined) notFound(response)
      return
    }
    // Never as what it claims to be: an HTML attachment opened here would be a page of this site.
    response.set('Content-Security-Policy', 'sandbox')
    response.attachment(attachment.filename?.replace(/\p{Cc}/gu, '') ?? 'attachment')
    response.type('application/octet-stream').send(Buffer.from(attachment.content))
  })

  router.get('/api/messages', async (_request, response) => {
    response.json({ messages: (await inbox.messages()).reverse().map(summaryOf), count: inbox.count })
  })

  router.get('/api/messages/:id', async (request, response) => {
    const mail = await found(inbox, request.params.id, response)
    if (mail !== undefined) response.json(detailsOf(mail))
  })

  router.delete('/api/messages', (_request, response) => {
    inbox.clear()
    response.status(204).end()
  })

  router.get('/events', (request, response) => {
    response.set({ 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' })
    response.flushHeaders()
    const tell = () => response.write(`data: ${inbox.count}\n\n`)
    const heartbeat = setInterval(() => response.write(':\n\n'), HEARTBEAT).unref()
    inbox.on('received', tell)
    inbox.on('cleared', tell)
    request.on('close', () => {
      clearInterval(heartbeat)
      inbox.off('received', tell)
      inbox.off('cleared', tell)
    })
    tell()
  })

  return router
}

async function found(inbox: Inbox, id: string, response: Response): Promise<ReceivedMail | undefined> {
  const mail = await inbox.find(id)
  if (mail === undefined) notFound(response)
  return mail
}

function notFound(response: Response): void {
  response.status(404).type('application/problem+json')
  response.send(
    JSON.stringify({
      type: 'about:blank',
      title: 'Not found',
      status: 404,
      detail: 'The inbox has no such mail.',
    }),
  )
}
