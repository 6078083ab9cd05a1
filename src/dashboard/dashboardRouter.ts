import { type Request, type RequestHandler, Router } from 'express'
import type { Mailer } from '../index.js'
import type { Allow } from '../web/middleware.js'
import { assetRouter, html, page } from '../web/page.js'
import { problemHandler } from '../web/problem.js'
import { LiveFeed } from './liveFeed.js'
import { messageRoutes } from './messageRoutes.js'
import { operatorRoutes } from './operatorRoutes.js'
import { templateRoutes } from './templateRoutes.js'

export interface DashboardLinks {
  /** The site's start page. */
  home?: string | undefined
  inbox?: string | undefined
}

export interface DashboardOptions {
  /** A handler that passes only requests with the given scope. */
  allow: Allow
  /** Passes only requests with a login. It doesn't see requests for the images in a message: a browser sends no cookies with them. */
  guard: RequestHandler
  /** Signs the URLs of these images. */
  signingKey: Uint8Array
  /** Names the user of a request, for the audit log; undefined without a login. */
  who: (request: Request) => string | undefined
  /** URLs of the other pages, relative to the mount path. */
  links: DashboardLinks
}

/**
 * The dashboard at `/` and the previews at `/preview`: one script, which uses the routes below `dashboard/`. All links are
 * relative, so that it can be mounted anywhere. The caller sets the headers of a page (`pageHeaders`).
 */
export function dashboardRouter(mailer: Mailer, options: DashboardOptions): Router {
  const { allow, guard } = options
  const router = Router()
  const messages = messageRoutes(mailer, options)
  router.use('/dashboard', messages.images)
  router.use(guard)
  router.use('/assets', assetRouter(`${import.meta.dirname}/assets`, ['dashboard.css', 'app.js']))
  router.get('/', allow('read'), (_request, response) => {
    response.type('html').send(shell('Dashboard', 'dashboard', mailer, options.links))
  })
  router.get('/preview', allow('read'), (request, response) => {
    response
      .type('html')
      .send(shell('Previews', 'preview', mailer, options.links, request.path.endsWith('/') ? '../' : ''))
  })

  const feed = new LiveFeed(mailer)
  const api = Router()
  api.use((_request, response, next) => {
    response.set({
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
    })
    next()
  })
  api.get('/events', allow('read'), async (request, response) => {
    await feed.join(response, { templates: request.query['watch'] === 'templates' })
  })
  api.get('/history', allow('read'), async (_request, response) => {
    response.json({ points: await mailer.monitoring.history() })
  })
  api.use(messages.routes, templateRoutes(mailer, options), operatorRoutes(mailer, options))
  api.use(problemHandler)
  router.use('/dashboard', api)
  return router
}

function shell(
  title: string,
  kind: 'dashboard' | 'preview',
  { webhooks }: Mailer,
  { home, inbox }: DashboardLinks,
  root = '',
): string {
  return page({
    title: `${title} · threadpost`,
    root,
    styles: ['dashboard.css'],
    scripts: ['app.js'],
    kind,
    body: html`<div
      id="app"
      data-home="${home}"
      data-inbox="${inbox}"
      data-webhooks="${String(webhooks !== undefined)}"
    >
      <noscript><p class="noscript">The dashboard requires JavaScript.</p></noscript>
    </div>`,
  })
}
