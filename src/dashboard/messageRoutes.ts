import { type Request, type RequestHandler, type Response, Router } from 'express'
import {
  attemptLogLines,
  explain,
  type ListQuery,
  type Mailer,
  type MessagePreview,
  ThreadpostError,
} from '../index.js'
import { type InboxAttachment, type MailContents, parseMime } from '../mime/parseMime.js'
import {
  frameDocument,
  htmlNote,
  ImageLinks,
  isImage,
  sendImage,
  shownHeaders,
  shownText,
} from '../web/mailFrame.js'
import { guardSearch, jsonBody } from '../web/middleware.js'
import { invalid } from '../web/problem.js'
import { listQueryOf } from '../web/requestSchema.js'
import type { DashboardOptions } from './dashboardRouter.js'
import { sendExport } from './messageExport.js'
import { neighborsOf } from './messageNeighbors.js'
import {
  type Action,
  type BulkResult,
  type MessageContents,
  type MessageDetails,
  type MessageRows,
  rowOf,
} from './viewModels.js'

/** Messages changed in one step. */
const STEP_SIZE = 200
const MAX_IDS = 500
/** Bytes at the start of a received mail in which its Message-ID is. */
const MAX_HEADER = 8_192

const ACTIONS = {
  retry: (mailer, id) => mailer.retry(id),
  cancel: (mailer, id) => mailer.cancel(id),
  'mark-sent': (mailer, id) => mailer.markSent(id),
  'send-again': (mailer, id) => mailer.sendAgain(id),
} satisfies Record<Action, (mailer: Mailer, id: string) => Promise<unknown>>

function isAction(value: unknown): value is Action {
  return typeof value === 'string' && Object.hasOwn(ACTIONS, value)
}

/** @throws ThreadpostError `INVALID_MESSAGE` if there are too many ids */
async function performOnIds(mailer: Mailer, action: Action, ids: readonly string[]): Promise<BulkResult> {
  if (ids.length > MAX_IDS) throw invalid('ids', `must not list more than ${MAX_IDS} messages`)
  return perform(mailer, action, ids)
}

/** Changes the next matching messages. The client continues with the cursor, so that no request takes long. */
async function performOnPage(mailer: Mailer, action: Action, query: ListQuery): Promise<BulkResult> {
  const { messages, cursor } = await mailer.list({ ...query, limit: STEP_SIZE })
  const ids = messages.map(({ id }) => id)
  return { ...(await perform(mailer, action, ids)), ...(cursor === undefined ? {} : { cursor }) }
}

async function perform(mailer: Mailer, action: Action, ids: readonly string[]): Promise<BulkResult> {
  const results = await Promise.allSettled(ids.map((id) => ACTIONS[action](mailer, id)))
  let done = 0
  for (const result of results) {
    if (result.status === 'fulfilled') done++
    else if (!isSkipped(result.reason)) throw result.reason
  }
  return { done, passed: ids.length - done }
}

function isSkipped(reason: unknown): boolean {
  return reason instanceof ThreadpostError && (reason.code === 'CONFLICT' || reason.code === 'NOT_FOUND')
}

/** Milliseconds for which the images of a message are kept: a frame requests all of them at once. */
const KEEP_FOR = 30_000
const MAX_MAILS = 8
/** Bytes of all kept attachments. */
const MAX_BYTES = 64 * 1024 * 1024

interface CachedMail {
  attachments: Promise<readonly InboxAttachment[]>
  bytes: number
  timer: NodeJS.Timeout
}

/** The attachments of recently framed messages, so that a message isn't rendered and parsed again for each of its images. */
class AttachmentCache {
  readonly #mails = new Map<string, CachedMail>()

  keep(id: string, { attachments }: MailContents): void {
    this.#add(id, Promise.resolve(attachments), sizeOf(attachments))
  }

  /** @param load builds the message if it isn't cached */
  async find(
    id: string,
    index: number,
    load: () => Promise<MailContents>,
  ): Promise<InboxAttachment | undefined> {
    const kept = this.#mails.get(id)
    if (kept !== undefined) return (await kept.attachments)[index]
    // Concurrent requests wait for the same promise.
    const attachments = load().then((mail) => mail.attachments)
    this.#add(id, attachments, 0)
    try {
      const loaded = await attachments
      this.#add(id, attachments, sizeOf(loaded))
      return loaded[index]
    } catch (error) {
      this.#remove(id)
      throw error
    }
  }

  #add(id: string, attachments: CachedMail['attachments'], bytes: number): void {
    this.#remove(id)
    const timer = setTimeout(() => this.#remove(id), KEEP_FOR).unref()
    this.#mails.set(id, { attachments, bytes, timer })
    let sum = 0
    for (const kept of this.#mails.values()) sum += kept.bytes
    for (const [oldest, kept] of this.#mails) {
      if (oldest === id || (this.#mails.size <= MAX_MAILS && sum <= MAX_BYTES)) break
      sum -= kept.bytes
      this.#remove(oldest)
    }
  }

  #remove(id: string): void {
    clearTimeout(this.#mails.get(id)?.timer)
    this.#mails.delete(id)
  }
}

function sizeOf(attachments: readonly InboxAttachment[]): number {
  return attachments.reduce((sum, { content }) => sum + content.byteLength, 0)
}

/**
 * The dashboard's routes for messages.
 * @returns `images` belongs in front of the login: it responds only to signed URLs
 */
export function messageRoutes(
  mailer: Mailer,
  { allow, signingKey }: DashboardOptions,
): { images: Router; routes: Router } {
  const router = Router()
  const images = Router()
  const links = new ImageLinks(signingKey)
  const attachments = new AttachmentCache()
  const redacted = mailer.redact.recipients
  /** The content names the recipients: if these are redacted elsewhere, it requires the scope `manage`. */
  const mayReadContent: RequestHandler = async (request, response, next) => {
    const message = await mailer.find(String(request.params['id']))
    if (message === undefined) throw messageNotFound()
    if (redacted) allow('manage')(request, response, next)
    else next()
  }

  const maySearch = guardSearch(redacted, allow)

  router.get('/messages', allow('read'), maySearch, async (request, response) => {
    const { messages, cursor } = await mailer.list(listQueryOf(request.query))
    const page: MessageRows = { rows: messages.map(rowOf), ...(cursor === undefined ? {} : { cursor }) }
    response.json(page)
  })

  router.get('/count', allow('read'), maySearch, async (request, response) => {
    response.json(await mailer.count(listQueryOf(request.query)))
  })

  router.get(['/export.csv', '/export.ndjson'], allow('read'), maySearch, async (request, response) => {
    await sendExport(mailer, request, response)
  })

  router.post(
    '/messages/:id/send-again',
    allow('manage'),
    jsonBody(1024 * 1024),
    async (request, response) => {
      response.status(202).json(await mailer.sendAgain(String(request.params['id']), request.body as object))
    },
  )

  router.get('/messages/:id', allow('read'), async (request, response) => {
    const message = await mailer.find(String(request.params['id']))
    if (message === undefined) throw messageNotFound()
    const inInbox = mailer.inbox?.stored().find(({ raw }) => hasMessageId(raw, message.messageId))?.id
    const details: MessageDetails = {
      message,
      why: explain(message),
      log: attemptLogLines(message),
      shortened: redacted,
      ...(inInbox === undefined ? {} : { inInbox }),
    }
    response.json(details)
  })

  router.get('/messages/:id/neighbors', allow('read'), maySearch, async (request, response) => {
    const message = await mailer.find(String(request.params['id']))
    if (message === undefined) throw messageNotFound()
    response.json(await neighborsOf(mailer, message, listQueryOf(request.query)))
  })

  router.get('/messages/:id/contents', allow('read'), mayReadContent, async (request, response) => {
    response.json(contentsOf(await previewOf(mailer, request.params['id'])))
  })

  router.get('/messages/:id/html', allow('read'), mayReadContent, async (request, response) => {
    const id = String(request.params['id'])
    const mail = await mailOf(mailer, id)
    attachments.keep(id, mail)
    const { html, policy } = frameDocument(mail.html ?? '', mail.attachments, (index) =>
      links.addressOf(id, index),
    )
    response.set('Content-Security-Policy', policy).type('html').send(html)
  })

  const sendImageOf = async (request: Request, response: Response): Promise<void> => {
    const id = String(request.params['id'])
    const image = await attachments.find(id, Number(request.params['index']), () => mailOf(mailer, id))
    if (image === undefined || !isImage(image))
      throw new ThreadpostError('NOT_FOUND', 'The message has no such image.')
    sendImage(response, image)
  }
  images.get('/messages/:id/images/:index/:ticket', (request, response, next) => {
    const { id, index, ticket } = request.params
    return links.allows(id, Number(index), ticket) ? sendImageOf(request, response) : next()
  })
  router.get('/messages/:id/images/:index/:ticket', allow('read'), mayReadContent, sendImageOf)

  router.get('/messages/:id/mail.eml', allow('read'), mayReadContent, async (request, response) => {
    const { raw } = keptOf(await previewOf(mailer, request.params['id']))
    response.attachment('mail.eml').type('message/rfc822').send(Buffer.from(raw))
  })

  router.post('/bulk', allow('manage'), jsonBody(200_000), async (request, response) => {
    const { action, ids, query } = request.body as { action: unknown; ids?: unknown; query?: unknown }
    if (!isAction(action)) throw invalid('action', 'must be retry, cancel, mark-sent or send-again')
    if (Array.isArray(ids)) response.json(await performOnIds(mailer, action, ids.map(String)))
    else if (query === undefined) throw invalid('query', 'is required without ids')
    else response.json(await performOnPage(mailer, action, listQueryOf(query)))
  })

  return { images, routes: router }
}

/** Whether the header of a received mail has this Message-ID; the mail isn't parsed for that. */
function hasMessageId(raw: Uint8Array, messageId: string): boolean {
  return Buffer.from(raw.buffer, raw.byteOffset, Math.min(raw.byteLength, MAX_HEADER)).includes(messageId)
}

async function mailOf(mailer: Mailer, id: string): Promise<MailContents> {
  return parseMime(keptOf(await previewOf(mailer, id)).raw)
}

async function previewOf(mailer: Mailer, id: unknown): Promise<MessagePreview> {
  const preview = await mailer.preview(String(id))
  if (preview === undefined) throw messageNotFound()
  return preview
}

function keptOf(preview: MessagePreview): Extract<MessagePreview, { kept: true }> {
  if (!preview.kept)
    throw new ThreadpostError('NOT_FOUND', 'The content of this message was deleted when it was settled.')
  return preview
}

function contentsOf(preview: MessagePreview): MessageContents {
  if (!preview.kept) return preview
  const { preheader, raw, data } = preview
  const mail = parseMime(raw)
  // A finished message has no parts but those in its bytes.
  const finished = preview.html === '' && preview.text === ''
  const { subject, html = '', text: plain = '' } = finished ? mail : preview
  const { text, note } = shownText(plain, 'text')
  const header = shownHeaders(mail.headers)
  const notes = [htmlNote(mail.html ?? ''), note, header.note, ...mail.leftOut]
  return {
    kept: true,
    subject,
    ...(data === undefined ? {} : { data }),
    preheader,
    text,
    hasHtml: html !== '',
    headers: header.headers.map(({ name, value }) => [name, value]),
    size: raw.byteLength,
    htmlSize: Buffer.byteLength(html),
    notes: notes.filter((sentence) => sentence !== undefined),
  }
}

function messageNotFound(): ThreadpostError {
  return new ThreadpostError('NOT_FOUND', 'The message no longer exists.')
}
