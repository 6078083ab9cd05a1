import express, { type RequestHandler, type Response } from 'express'
import { sendProblem } from './problem.js'

/**
 * Reads a JSON body and nothing else. A form can't send one across sites without asking first, which is what keeps
 * foreign pages from posting here.
 * @param limit bytes, after decompression
 */
export function jsonBody(limit: number): RequestHandler {
  const parse: RequestHandler = express.json({ limit, strict: true })
  return (request, response, next) => {
    if (request.is('application/json') === 'application/json') parse(request, response, next)
    else refuse(response)
  }
}

/** Where no body is read: one may come, but not what a form sends. */
export const bodyless: RequestHandler = (request, response, next) => {
  const type = request.headers['content-type']
  if (type === undefined || /^application\/json\b/i.test(type)) next()
  else refuse(response)
}

function refuse(response: Response): void {
  sendProblem(
    response,
    'UNSUPPORTED_MEDIA_TYPE',
    'The body must be JSON, with Content-Type: application/json.',
  )
}
