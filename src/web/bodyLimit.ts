import type { Request, RequestHandler, Response } from 'express'
import { newProblem } from './problem.js'

/** Bytes, and milliseconds, that are still read after a body was refused, so that its sender can read the response. */
const REST = 1_048_576
const REST_TIME = 2_000

/**
 * Refuses a body as soon as it is longer than the limit. The body parsers of Express would read it to its end before they report it.
 * @param parse a body parser with the same limit, which is then one of what the body unpacks to
 */
export function limitBody(limit: number, parse: RequestHandler): RequestHandler {
  return (request, response, next) => {
    if (Number(request.headers['content-length']) > limit) {
      refuseBody(request, response)
      return
    }
    let size = 0
    let refused = false
    const count = (chunk: Buffer): void => {
      size += chunk.length
      if (refused || size <= limit) return
      refused = true
      refuseBody(request, response)
    }
    request.on('data', count)
    void parse(request, response, (error?: unknown) => {
      request.off('data', count)
      // It reports the same when the request is over.
      if (!refused) next(error)
    })
  }
}

/**
 * Responds with 413 and closes the connection. If the connection were closed while data arrives, the system would reset it, and the client
 * might never read the response; therefore the response is complete at once, and ends after a limited rest.
 */
export function refuseBody(
  request: Request,
  response: Response,
  detail = 'The body is larger than this server accepts.',
): void {
  const body = Buffer.from(JSON.stringify(newProblem('TOO_LARGE', detail)))
  response.status(413).type('application/problem+json')
  response.set({ Connection: 'close', 'Content-Length': String(body.length) })
  response.write(body)
  let rest = 0
  const end = (): void => {
    clearTimeout(timer)
    request.off('data', count)
    response.end()
  }
  const count = (chunk: Buffer): void => {
    rest += chunk.length
    if (rest <= REST) return
    request.pause()
    end()
  }
  const timer = setTimeout(end, REST_TIME)
  request.on('data', count).once('end', end).once('close', end)
  request.resume()
}
