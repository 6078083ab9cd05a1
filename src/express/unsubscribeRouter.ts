import { type RequestHandler, Router } from 'express'
import helmet from 'helmet'
import { ThreadpostError } from '../index.js'
import type { Mailer } from '../mailer.js'
import { asMiddleware, methodNotAllowed, type Middleware } from '../web/middleware.js'
import { html, htmlDocument } from '../web/page.js'
import { notFound, problemHandler } from '../web/problem.js'
import { textsFor, type UnsubscribeTexts } from './unsubscribeTexts.js'

/**
 * Creates an Express router for the links of mails with `listUnsubscribe: true`, to be mounted under the path of the option
 * `unsubscribe.url`. A POST unsubscribes, without a login, a redirect, or a cookie (RFC 8058), and may be repeated. A GET changes
 * nothing, since programs follow links: it shows a page with one button, in the mail's language.
 * @throws ThreadpostError `INVALID_OPTIONS` if the mailer has no option `unsubscribe`
 */
export function unsubscribeRouter(mailer: Mailer): Middleware {
  const { unsubscribes } = mailer.suppressions
  if (unsubscribes === undefined)
    throw new ThreadpostError(
      'INVALID_OPTIONS',
      'unsubscribe: the mailer needs this option for unsubscribeRouter, with url and secret',
      { path: 'unsubscribe' },
    )
  const subscriptionOf = (token: unknown) => {
    const subscription = unsubscribes.read(String(token))
    if (subscription === undefined)
      throw new ThreadpostError('NOT_FOUND', 'This link is not valid: it was changed, or is incomplete.')
    return subscription
  }

  const ask: RequestHandler = (request, response) => {
    const { locale } = subscriptionOf(request.params['token'])
    const texts = textsFor(locale)
    response.send(document(texts, texts.question, texts.unsubscribe, String(request.params['token'])))
  }

  const unsubscribe: RequestHandler = async (request, response) => {
    const subscription = subscriptionOf(request.params['token'])
    await unsubscribes.unsubscribe(subscription)
    const texts = textsFor(subscription.locale)
    const action = `${String(request.params['token'])}/subscribe`
    response.send(document(texts, texts.unsubscribed, texts.subscribe, action))
  }

  const subscribe: RequestHandler = async (request, response) => {
    const subscription = subscriptionOf(request.params['token'])
    await unsubscribes.subscribe(subscription)
    const texts = textsFor(subscription.locale)
    response.send(
      document(texts, texts.subscribed, texts.unsubscribe, `../${String(request.params['token'])}`),
    )
  }

  const router = Router()
  router.use(headers)
  router.get('/:token', ask)
  router.post('/:token', unsubscribe)
  router.all('/:token', methodNotAllowed(['get', 'post']))
  router.post('/:token/subscribe', subscribe)
  router.all('/:token/subscribe', methodNotAllowed(['post']))
  router.use(notFound, problemHandler)
  return asMiddleware(router)
}

const STYLE =
  'body{font:17px/1.5 system-ui,sans-serif;max-width:34em;margin:15vh auto;padding:0 1em;text-align:center}' +
  'button{font:inherit;padding:.6em 1.4em;border:0;border-radius:.5em;background:#1f6feb;color:#fff;cursor:pointer}'

/** The page needs nothing but its own style. The referrer would reveal the link. */
const protect = helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      'default-src': ["'none'"],
      'style-src': ["'unsafe-inline'"],
      'form-action': ["'self'"],
      'base-uri': ["'none'"],
      'frame-ancestors': ["'none'"],
    },
  },
  strictTransportSecurity: false,
  originAgentCluster: false,
})

const headers: RequestHandler = (request, response, next) => {
  response.set({ 'Cache-Control': 'no-store', 'X-Robots-Tag': 'noindex' })
  protect(request, response, next)
}

/** @param action path of the form, relative to the page */
function document(texts: UnsubscribeTexts, sentence: string, button: string, action: string): string {
  return htmlDocument({
    language: texts.language,
    title: texts.title,
    head: html`<style>
      ${STYLE}
    </style>`,
    body: html`<body>
      <h1>${texts.title}</h1>
      <p>${sentence}</p>
      <form method="post" action="${action}"><button type="submit">${button}</button></form>
    </body>`,
  })
}
