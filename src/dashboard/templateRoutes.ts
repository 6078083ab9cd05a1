import { createHash } from 'node:crypto'
import { Router } from 'express'
import { type JsonObject, type Mailer, ThreadpostError } from '../index.js'
import { frameDocument, type FrameDocument } from '../web/frame.js'
import { jsonBody } from '../web/middleware.js'
import { htmlNote, shownText } from '../web/shown.js'
import type { DashboardOptions } from './dashboardRouter.js'
import type { RenderedPreview } from './viewModels.js'

/** Rendered documents kept at a time: a frame asks for its own at once. */
const KEPT = 16

/** Rendered HTML on its way into a frame: a document needs an address of its own to have a policy of its own. */
class RenderCache {
  readonly #documents = new Map<string, FrameDocument>()

  /** The same document has the same key, so that a frame that shows it already need not load it again. */
  keep(document: FrameDocument): string {
    const key = createHash('sha256').update(document.html).digest('base64url')
    this.#documents.delete(key)
    this.#documents.set(key, document)
    for (const oldest of this.#documents.keys()) {
      if (this.#documents.size <= KEPT) break
      this.#documents.delete(oldest)
    }
    return key
  }

  get(key: string): FrameDocument | undefined {
    return this.#documents.get(key)
  }
}

/** Tag of mails sent from a preview. */
const TEST_TAG = 'test'
const MAX_BODY = 1024 * 1024

interface PreviewRequest {
  data?: JsonObject
  locale?: string
  to?: string
}

/** What the previews ask of templates. */
export function templateRoutes(mailer: Mailer, { allow }: DashboardOptions): Router {
  const router = Router()
  const renders = new RenderCache()

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
      key: renders.keep(frameDocument(html)),
      subject,
      preheader,
      text,
      htmlSize: Buffer.byteLength(html),
      notes: [htmlNote(html), note].filter((sentence) => sentence !== undefined),
    } satisfies RenderedPreview)
  })

  router.get('/renders/:key', allow('read'), (request, response) => {
    const document = renders.get(String(request.params['key']))
    if (document === undefined) throw new ThreadpostError('NOT_FOUND', 'This rendering is no longer kept.')
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
