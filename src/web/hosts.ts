import type { RequestHandler } from 'express'

const LOOPBACK = /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i

/**
 * Answers only to names of loopback. A page elsewhere can point a name of its own at 127.0.0.1 (DNS rebinding) and
 * would read the mail of a server that has no login; such a request still carries that name.
 */
export const loopbackOnly: RequestHandler = (request, response, next) => {
  if (LOOPBACK.test(request.headers.host ?? '')) {
    next()
    return
  }
  response
    .status(421)
    .type('text/plain')
    .send(
      'This server has no token, so it answers to localhost only. Start it with a token to reach it by other names.\n',
    )
}
