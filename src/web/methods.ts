import type { RequestHandler } from 'express'
import { sendProblem } from './problem.js'

/**
 * Answers where a path is there and a method is not: 405 with `Allow` (RFC 9110 section 15.5.6).
 * @param methods in small letters, as Express has them
 */
export function onlyWith(methods: readonly string[]): RequestHandler {
  const names = methods.flatMap((method) => (method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]))
  const allow = [...new Set(names)].join(', ')
  return (request, response) => {
    response.set('Allow', allow)
    if (request.method === 'OPTIONS') response.status(204).end()
    else
      sendProblem(response, 'METHOD_NOT_ALLOWED', `Here is nothing to ${request.method}; there is ${allow}.`)
  }
}
