import type { RequestHandler } from 'express'

/**
 * Sends a browser from `/inbox` to `/inbox/`, for relative links mean something else without the slash. The redirect is
 * relative too, so that it holds behind a proxy that strips a prefix.
 */
export const trailingSlash: RequestHandler = (request, response, next) => {
  const [path = '', query] = request.originalUrl.split('?')
  if (request.path !== '/' || path.endsWith('/') || (request.method !== 'GET' && request.method !== 'HEAD')) {
    next()
    return
  }
  const last = path.slice(path.lastIndexOf('/') + 1)
  response
    .status(308)
    .set('Location', `./${last}/${query === undefined ? '' : `?${query}`}`)
    .end()
}
