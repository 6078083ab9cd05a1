import { type RequestHandler, Router } from 'express'
import helmet from 'helmet'
import { sendProblem } from './problem.js'

/** HTML that can be put into a page without escaping. */
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
 * Template tag for HTML. It escapes every value for text and quoted attributes, unless this tag created the value.
 * `undefined` and `false` produce nothing; lists are joined.
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

/** Folder of the stylesheet and icon that all pages use. */
const SHARED = `${import.meta.dirname}/assets`

/** The content security policy of every page: nothing from other sites, no inline scripts or styles, framed by its own site only. */
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
  /** Relative path from this page to the router's root: '', '../' and so on. */
  root: string
  /** File names of stylesheets and modules in the router's assets. */
  styles?: readonly string[]
  scripts?: readonly string[]
  body: Html
  /** CSS class of the body element. */
  kind: string
}

/** A page of a router. All its links are relative, so that the router can be mounted anywhere. */
export function page({ title, root, styles = [], scripts = [], body, kind }: PageContents): string {
  const head = html`<link rel="icon" href="${root}assets/icon.svg" type="image/svg+xml" />
    ${['base.css', ...styles].map((name) => html`<link rel="stylesheet" href="${root}assets/${name}" />`)}
    ${scripts.map((name) => html`<script type="module" src="${root}assets/${name}"></script>`)}`
  return htmlDocument({
    title,
    head,
    body: html`<body class="${kind}">
      ${body}
    </body>`,
  })
}

interface DocumentContents {
  /** @default 'en' */
  language?: string
  title: string
  /** Elements that follow the title in the head element. */
  head: Html
  /** The body element. */
  body: Html
}

export function htmlDocument({ language = 'en', title, head, body }: DocumentContents): string {
  return html`<!doctype html>
    <html lang="${language}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title}</title>
        ${head}
      </head>
      ${body}
    </html>`.source
}

/** An input with its label. @param attributes those of the input besides its id; `true` stands for one without a value */
export function textField(
  id: string,
  label: string,
  attributes: Readonly<Record<string, string | number | true>>,
): Html {
  const others = Object.entries(attributes).map(([name, value]) =>
    value === true ? html` ${name}` : html` ${name}="${value}"`,
  )
  return html`<label for="${id}">${label}</label> <input class="text-field" id="${id}" ${others} />`
}

/** HSTS is off: the host decides whether its site is https only, not a router. */
const protect = helmet({
  contentSecurityPolicy: { useDefaults: false, directives: PAGE_POLICY },
  strictTransportSecurity: false,
  // Browsers warn on the console if some documents of an origin have this header and others, such as the host's, don't.
  originAgentCluster: false,
})

/** Sets the headers of a page, so that a router is safe even if its host sets none. */
export const pageHeaders: RequestHandler = (request, response, next) => {
  response.set('Cache-Control', 'no-store')
  protect(request, response, next)
}

/**
 * Rejects requests that a browser sends for an image, except for assets and the images of mails. A displayed mail can name any URL of
 * this server as an image, and an event stream would keep the connection open for good.
 */
export const refuseImageRequests: RequestHandler = (request, response, next) => {
  const isImage = /^\/assets\/|\/images\/\d+\//.test(request.path)
  if (request.get('Sec-Fetch-Dest') !== 'image' || isImage) next()
  else sendProblem(response, 'FORBIDDEN', 'This URL is not an image.')
}

/** Serves the shared assets and the named files of `folder`. No other file in the folders can be reached. */
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

/** The logo: a letter made of two threads. */
export const logo = html`<svg class="mark" viewBox="0 0 28 28" width="28" height="28" aria-hidden="true">
  <rect class="mark-ground" width="28" height="28" rx="8" />
  <rect class="mark-line" x="7" y="8" width="14" height="4" rx="2" />
  <rect class="mark-line" x="7" y="16" width="8" height="4" rx="2" />
</svg>`
