import { once } from 'node:events'
import type { Server } from 'node:http'
import express from 'express'

/** What any web process has: a route that answers a little JSON. */
export async function listen(): Promise<Server> {
  const app = express()
  app.disable('x-powered-by')
  app.get('/orders/:id', (request, response) => {
    response.json({ id: request.params.id, status: 'paid', items: [1, 2, 3] })
  })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}
