import { type RequestHandler, Router } from 'express'
import helmet from 'helmet'
import { sendProblem } from './problem.js'

/** Text that is HTML and safe to put into a page as it is. */
export class Html {
  readonly source: string

  constructor(source: string) {
    this.source = source
  }

  toString(): string {
    return this.source
  }
}

export type HtmlValue = Html | string | number | undefined | false | readonly HtmlValue[]

/**
 * Builds HTML; every value is escaped for text and quoted attributes, unless it was built by this tag itself.
 * `undefined` and `false` leave nothing, lists are joined.
 */
export function html(strings: TemplateStringsArray, ...values: HtmlValue[]): Html {
  let source = strings[0]!
  values.forEach((value, index) => {
    source += toSource(value) + strings[index + 1]!
  })
  return new Html(source)
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function toSource(value: HtmlValue): string {
  if (value === undefined || value === false) return ''
  if (value instanceof Html) return value.source
  if (typeof value === 'object') return value.map(toSource).join('')
  return String(value).replace(/[&<>"']/g, (character) => ENTITIES[character]!)
}

/** Folder of the stylesheet and icon that all pages share. */
const SHARED = `${import.meta.dirname}/assets`

/** Every page's policy: nothing from elsewhere, no inline script or style, framed by its own site only. */
const PAGE_POLICY = {
  'default-src': ["'none'"],
  'script-src': ["'self'"],
  'style-src': ["'self'"],
  'img-src': ["'self'"],
  'connect-src': ["'self'"],
  'frame-src': ["'self'"],
  'form-action': ["'self'"],
  'base-uri': ["'none'"],
  'frame-ancestors': ["'self'"],
}

export interface PageContents {
  title: string
  /** The way from this page to the router's root: '' or '../' and so on. */
  root: string
  /** Names of stylesheets and modules among the router's assets. */
  styles?: readonly string[]
  scripts?: readonly string[]
  body: Html
  /** Class of the body element. */
  kind: string
}

/** A whole document. All its links are relative, so that the router can be mounted anywhere. */
export function page({ title, root, styles = [], scripts = [], body, kind }: PageContents): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title}</title>
        <link rel="icon" href="${root}assets/icon.svg" type="image/svg+xml" />
        ${['base.css', ...styles].map((name) => html`<link rel="stylesheet" href="${root}assets/${name}" />`)}
        ${scripts.map((name) => html`<script type="module" src="${root}assets/${name}"></script>`)}
      </head>
      <body class="${kind}">
        ${body}
      </body>
    </html>`.source
}

/** Whether a site is reached by https only is its host's decision, not a router's. */
const protect = helmet({
  contentSecurityPolicy: { useDefaults: false, directives: PAGE_POLICY },
  strictTransportSecurity: false,
})

/** Headers of every page: set here too, so that a router is safe where its host sets none. */
export const pageHeaders: RequestHandler = (request, response, next) => {
  response.set('Cache-Control', 'no-store')
  protect(request, response, next)
}

/**
 * Refuses to answer where a browser loads an image: a mail that is shown may ask for any address of this server as one, and an
 * event stream would keep the connection for good. Assets and the images of mails are for that.
 */
export const refuseImageRequests: RequestHandler = (request, response, next) => {
  const isImage = /^\/assets\/|\/images\/\d+\//.test(request.path)
  if (request.get('Sec-Fetch-Dest') !== 'image' || isImage) next()
  else sendProblem(response, 'FORBIDDEN', 'This is no image.')
}

/** Serves the shared assets and those of `folder` by name; nothing else in the folders can be reached. */
export function assetRouter(folder: string, names: readonly string[]): Router {
  const router = Router()
  const serve =
    (root: string): RequestHandler =>
    (request, response) => {
      response.set('Cache-Control', 'no-cache')
      response.sendFile(request.path, { root, cacheControl: false })
    }
  for (const name of ['base.css', 'icon.svg']) router.get(`/${name}`, serve(SHARED))
  for (const name of names) router.get(`/${name}`, serve(folder))
  return router
}

/** The brand: a letter of two threads. */
export const logo = html`<svg class="mark" viewBox="0 0 28 28" width="28" height="28" aria-hidden="true">
  <rect class="mark-ground" width="28" height="28" rx="8" />
  <rect class="mark-line" x="7" y="8" width="14" height="4" rx="2" />
  <rect class="mark-line" x="7" y="16" width="8" height="4" rx="2" />
</svg>`
