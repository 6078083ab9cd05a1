import { type Request, type RequestHandler, type Response, Router } from 'express'
import { explain, type Mailer, type MessagePreview, ThreadpostError } from '../index.js'
import {
  frameDocument,
  htmlNote,
  ImageLinks,
  isImage,
  sendImage,
  shownHeaders,
  shownText,
} from '../web/frame.js'
import { jsonBody } from '../web/middleware.js'
import { type MailContents, parseMime } from '../web/parseMime.js'
import { invalid } from '../web/problem.js'
import { listQueryOf } from '../web/requestSchema.js'
import { isAction, performOnIds, performOnPage } from './bulkActions.js'
import type { DashboardOptions } from './dashboardRouter.js'
import { FramedImages } from './framedImages.js'
import {
  isShortened,
  type MessageContents,
  type MessageDetails,
  type MessageRows,
  rowOf,
} from './viewModels.js'

/**
 * What the dashboard asks of messages, and does to them.
 * @returns `images` is for before the login: it answers only where the address is signed
 */
export function messageRoutes(
  mailer: Mailer,
  { allow, signingKey }: DashboardOptions,
): { images: Router; routes: Router } {
  const router = Router()
  const images = Router()
  const links = new ImageLinks(signingKey)
  const framed = new FramedImages()
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
    response.json(contentsOf(await previewOf(mailer, request.params['id'])))
  })

  router.get('/messages/:id/html', allow('read'), whole, async (request, response) => {
    const id = String(request.params['id'])
    const mail = await mailOf(mailer, id)
    framed.keep(id, mail)
    const { html, policy } = frameDocument(mail.html ?? '', mail.attachments, (index) =>
      links.addressOf(id, index),
    )
    response.set('Content-Security-Policy', policy).type('html').send(html)
  })

  const sendImageOf = async (request: Request, response: Response): Promise<void> => {
    const id = String(request.params['id'])
    const image = await framed.find(id, Number(request.params['index']), () => mailOf(mailer, id))
    if (image === undefined || !isImage(image))
      throw new ThreadpostError('NOT_FOUND', 'The message has no such image.')
    sendImage(response, image)
  }
  images.get('/messages/:id/images/:index/:ticket', (request, response, next) => {
    const { id, index, ticket } = request.params
    return links.allows(id, Number(index), ticket) ? sendImageOf(request, response) : next()
  })
  router.get('/messages/:id/images/:index/:ticket', allow('read'), whole, sendImageOf)

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

  return { images, routes: router }
}

async function mailOf(mailer: Mailer, id: string): Promise<MailContents> {
  return parseMime(keptOf(await previewOf(mailer, id)).raw)
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

function contentsOf(preview: MessagePreview): MessageContents {
  if (!preview.kept) return preview
  const { subject, preheader, html, raw } = preview
  const mail = parseMime(raw)
  const { text, note } = shownText(preview.text, 'text')
  const header = shownHeaders(mail.headers)
  const notes = [htmlNote(mail.html ?? ''), note, header.note, ...mail.leftOut]
  return {
    kept: true,
    subject,
    preheader,
    text,
    hasHtml: html !== '',
    headers: header.headers.map(({ name, value }) => [name, value]),
    size: raw.byteLength,
    htmlSize: Buffer.byteLength(html),
    notes: notes.filter((sentence) => sentence !== undefined),
  }
}

function gone(): ThreadpostError {
  return new ThreadpostError('NOT_FOUND', 'There is no such message any more.')
}
