import { type RequestHandler, Router } from 'express'
import { explain, type Mailer, type MessagePreview, ThreadpostError } from '../index.js'
import { jsonBody } from '../web/body.js'
import { FRAME_POLICY, frameDocument } from '../web/frame.js'
import { parseMail } from '../web/parse.js'
import { invalid } from '../web/problem.js'
import { listQueryOf } from '../web/query.js'
import { isAction, performOnIds, performOnPage } from './bulk.js'
import type { DashboardOptions } from './router.js'
import { type MessageContents, type MessageDetails, type MessageRows, isShortened, rowOf } from './views.js'

/** What the dashboard asks of messages, and does to them. */
export function messageRoutes(mailer: Mailer, { allow }: DashboardOptions): Router {
  const router = Router()
  /** The mail itself names its recipients: where these are shortened, it is for those who may manage. */
  const whole: RequestHandler = async (request, response, next) => {
    const message = await mailer.find(String(request.params['id']))
    if (message === undefined) throw gone()
    if (isShortened(message)) allow('manage')(request, response, next)
    else next()
  }

  router.get('/messages', allow('read'), async (request, response) => {
    const { messages, cursor } = await mailer.list(listQueryOf(request.query))
    const page: MessageRows = { rows: messages.map(rowOf), ...(cursor === undefined ? {} : { cursor }) }
    response.json(page)
  })

  router.get('/messages/:id', allow('read'), async (request, response) => {
    const message = await mailer.find(String(request.params['id']))
    if (message === undefined) throw gone()
    const details: MessageDetails = { message, why: explain(message), shortened: isShortened(message) }
    response.json(details)
  })

  router.get('/messages/:id/contents', allow('read'), whole, async (request, response) => {
    response.json(await contentsOf(await previewOf(mailer, request.params['id'])))
  })

  router.get('/messages/:id/html', allow('read'), whole, async (request, response) => {
    const { raw } = keptOf(await previewOf(mailer, request.params['id']))
    const { html = '', attachments } = await parseMail(raw)
    response.set('Content-Security-Policy', FRAME_POLICY)
    response.type('html').send(frameDocument(html, attachments))
  })

  router.get('/messages/:id/mail.eml', allow('read'), whole, async (request, response) => {
    const { raw } = keptOf(await previewOf(mailer, request.params['id']))
    response.attachment('mail.eml').type('message/rfc822').send(Buffer.from(raw))
  })

  router.post('/bulk', allow('manage'), jsonBody(200_000), async (request, response) => {
    const { action, ids, query } = request.body as { action: unknown; ids?: unknown; query?: unknown }
    if (!isAction(action)) throw invalid('action', 'must be retry, cancel or mark-sent')
    if (Array.isArray(ids)) response.json(await performOnIds(mailer, action, ids.map(String)))
    else if (query === undefined) throw invalid('query', 'says which messages, where there are no ids')
    else response.json(await performOnPage(mailer, action, listQueryOf(query)))
  })

  return router
}

async function previewOf(mailer: Mailer, id: unknown): Promise<MessagePreview> {
  const preview = await mailer.preview(String(id))
  if (preview === undefined) throw gone()
  return preview
}

function keptOf(preview: MessagePreview): Extract<MessagePreview, { kept: true }> {
  if (!preview.kept)
    throw new ThreadpostError('NOT_FOUND', 'What this message says was dropped when it was settled.')
  return preview
}

async function contentsOf(preview: MessagePreview): Promise<MessageContents> {
  if (!preview.kept) return preview
  const { subject, preheader, html, text, raw } = preview
  const { headers } = await parseMail(raw)
  return {
    kept: true,
    subject,
    preheader,
    text,
    hasHtml: html !== '',
    headers: headers.map(({ name, value }) => [name, value]),
    size: raw.byteLength,
    htmlSize: Buffer.byteLength(html),
  }
}

function gone(): ThreadpostError {
  return new ThreadpostError('NOT_FOUND', 'There is no such message any more.')
}
