import type { ErrorRequestHandler } from 'express'
import { ThreadpostError } from '../index.js'
import type { ErrorMiddleware } from '../web/middleware.js'
import { problemOf, respondWith } from '../web/problem.js'

/**
 * Creates an Express error handler for the routes of an app that send mail. It responds to a ThreadpostError with
 * `application/problem+json` (RFC 9457): 400 for an invalid address or missing data, 409 for a key that was used for another mail,
 * 503 with `Retry-After` while the queue is full. All other errors, and errors of the app's own configuration, go to the next
 * error handler. Add it after the routes: `app.use(mailErrors())`.
 *
 * Express 4 doesn't pass rejected promises to error handlers: there, a route calls `next(error)` itself.
 */
export function mailErrors(): ErrorMiddleware {
  const answer: ErrorRequestHandler = (error: unknown, _request, response, next) => {
    if (!(error instanceof ThreadpostError) || response.headersSent) return next(error)
    const problem = problemOf(error)
    if (problem.status === 500) next(error)
    else respondWith(response, problem)
  }
  return answer as ErrorMiddleware
}
