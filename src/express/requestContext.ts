import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { isTraceparent, type MailContext, runWithContext } from '../index.js'
import type { Middleware } from '../web/middleware.js'

/** Characters of a request id that are safe in any log and header. */
const REQUEST_ID = /^[\w.:@/+=-]{1,128}$/
const LANGUAGE = /^[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,8}$/
const MAX_HEADER = 1_000
const MAX_LANGUAGES = 10
/** Printable ASCII, as W3C Trace Context requires. */
const TRACESTATE = /^[\x20-\x7e]{1,512}$/

/**
 * Middleware that gives each request a context, which every mail it sends carries: the request id (`X-Request-Id`, or a new one; the
 * response repeats it), the preferred languages (`Accept-Language`) and the trace (`traceparent`). Use it before the routes that
 * send mail.
 */
export function mailContext(): Middleware {
  return (request, response, next) => {
    const context = contextOf(request.headers)
    response.setHeader('X-Request-Id', context.requestId)
    runWithContext(context, next)
  }
}

function contextOf(headers: IncomingHttpHeaders): MailContext & { requestId: string } {
  const requestId = headers['x-request-id']
  const context: MailContext & { requestId: string } = {
    requestId: typeof requestId === 'string' && REQUEST_ID.test(requestId) ? requestId : randomUUID(),
  }
  const languages = languagesOf(headers['accept-language'])
  const [best] = languages
  if (best !== undefined) context.locale = best
  if (languages.length > 1) context.languages = languages
  const { traceparent, tracestate } = headers
  if (typeof traceparent === 'string' && isTraceparent(traceparent)) {
    context.traceparent = traceparent
    if (typeof tracestate === 'string' && TRACESTATE.test(tracestate)) context.tracestate = tracestate
  }
  return context
}

/** The languages of an Accept-Language header (RFC 9110 section 12.5.4), the most preferred first. */
function languagesOf(header = ''): string[] {
  if (header.length > MAX_HEADER) return []
  return header
    .split(',')
    .map((entry) => {
      const [tag = '', ...parameters] = entry.split(';').map((part) => part.trim())
      const weight = parameters.find((parameter) => /^q=/i.test(parameter))
      return { tag, weight: weight === undefined ? 1 : Number(weight.slice(2)) }
    })
    .filter(({ tag, weight }) => LANGUAGE.test(tag) && weight > 0)
    .sort((a, b) => b.weight - a.weight)
    .slice(0, MAX_LANGUAGES)
    .map(({ tag }) => tag)
}
