import { createHash } from 'node:crypto'
import { Router } from 'express'
import { type JsonObject, type Mailer, ThreadpostError } from '../index.js'
import { frameDocument, type FrameDocument, htmlNote, shownText } from '../web/mailFrame.js'
import { jsonBody } from '../web/middleware.js'
import type { DashboardOptions } from './dashboardRouter.js'
import type { RenderedPreview } from './viewModels.js'

/** Rendered documents kept at a time: a frame requests its document right away. */
const MAX_DOCUMENTS = 16

/** Rendered HTML for frames: a document needs its own URL to have its own policy. */
class RenderCache {
  readonly #documents = new Map<string, FrameDocument>()

  /** The same document has the same key, so that a frame that already shows it doesn't reload. */
  keep(document: FrameDocument): string {
    const key = createHash('sha256').update(document.html).digest('base64url')
    this.#documents.delete(key)
    this.#documents.set(key, document)
    for (const oldest of this.#documents.keys()) {
      if (this.#documents.size <= MAX_DOCUMENTS) break
      this.#documents.delete(oldest)
    }
    return key
  }

  get(key: string): FrameDocument | undefined {
    return this.#documents.get(key)
  }
}

/** Tag of messages sent from a preview. */
const TEST_TAG = 'test'
const MAX_BODY = 1024 * 1024

interface PreviewRequest {
  data?: JsonObject
  locale?: string
  to?: string
}

/** The routes of the previews. */
export function templateRoutes(mailer: Mailer, { allow }: DashboardOptions): Router {
  const router = Router()
  const documents = new RenderCache()

  router.get('/templates', allow('read'), async (_request, response) => {
    const templates = await mailer.describeTemplates()
    response.json({ templates: templates.map(({ name }) => name).sort() })
  })

  router.get('/templates/:name', allow('read'), async (request, response) => {
    const { locale } = request.query
    const options = typeof locale === 'string' && locale !== '' ? { locale } : {}
    response.json(await mailer.inspect(String(request.params['name']), options))
  })

  router.post('/templates/:name/render', allow('read'), jsonBody(MAX_BODY), async (request, response) => {
    const { data = {}, locale } = requestOf(request.body)
    const options = locale === undefined ? {} : { locale }
    const rendered = await mailer.render(String(request.params['name']), data, options)
    const { html, subject, preheader } = rendered
    const { text, note } = shownText(rendered.text, 'text')
    response.json({
      key: documents.keep(frameDocument(html)),
      subject,
      preheader,
      text,
      htmlSize: Buffer.byteLength(html),
      notes: [htmlNote(html), note].filter((sentence) => sentence !== undefined),
    } satisfies RenderedPreview)
  })

  router.get('/renders/:key', allow('read'), (request, response) => {
    const document = documents.get(String(request.params['key']))
    if (document === undefined) throw new ThreadpostError('NOT_FOUND', 'This preview has expired.')
    response.set('Content-Security-Policy', document.policy).type('html').send(document.html)
  })

  router.post('/templates/:name/test', allow('send'), jsonBody(MAX_BODY), async (request, response) => {
    const { data = {}, locale, to = '' } = requestOf(request.body)
    const receipt = await mailer.send({
      template: String(request.params['name']),
      to,
      data,
      tags: [TEST_TAG],
      ...(locale === undefined ? {} : { locale }),
    })
    response.status(202).json(receipt)
  })

  return router
}

function requestOf(body: unknown): PreviewRequest {
  const { data, locale, to } = body as Record<string, unknown>
  return {
    ...(data === undefined ? {} : { data: data as JsonObject }),
    ...(typeof locale === 'string' && locale !== '' ? { locale } : {}),
    ...(typeof to === 'string' ? { to } : {}),
  }
}
