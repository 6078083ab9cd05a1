import type { RequestHandler } from 'express'
import { html, logo, page, pageHeaders } from './page.js'

/** Responds with a page to a browser's request that no route matches. Programs get a problem from the next handler. */
export const notFoundPage: RequestHandler = (request, response, next) => {
  const browses = request.method === 'GET' && request.accepts(['json', 'html']) === 'html'
  if (!browses) {
    next()
    return
  }
  const root = '../'.repeat(Math.max(0, request.path.split('/').length - 2))
  pageHeaders(request, response, () => {
    response
      .status(404)
      .type('html')
      .send(
        page({
          title: 'Page not found · threadpost',
          root,
          kind: 'not-found',
          body: html`<main>
            <p>${logo}</p>
            <h1>Page not found</h1>
            <p>Nothing exists at this URL.</p>
            <p><a href="${root === '' ? './' : root}">Go to the start</a></p>
          </main>`,
        }),
      )
  })
}
