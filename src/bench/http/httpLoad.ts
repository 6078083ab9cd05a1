import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import express from 'express'
import type { Distribution } from '../distribution.js'

/** What any web process has: a route that answers a little JSON. */
async function listen(): Promise<Server> {
  const app = express()
  app.disable('x-powered-by')
  app.get('/orders/:id', (request, response) => {
    response.json({ id: request.params.id, status: 'paid', items: [1, 2, 3] })
  })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

/** Requests that come to this process from another one, at a steady rate, whatever this one does. */
export interface HttpLoad {
  begin(): Promise<void>
  /** Stops and tells how long requests took, from when each was due to its answer's end. */
  end(): Promise<Distribution | undefined>
  close(): Promise<void>
}

/** Opens an Express route in this process and starts its clients in another. */
export async function startHttpLoad(rate: number): Promise<HttpLoad> {
  const server = await listen()
  const { port } = server.address() as AddressInfo
  const generator = fork(fileURLToPath(new URL('./generator.js', import.meta.url)), [`${port}`, `${rate}`])
  await once(generator, 'message')
  const load: HttpLoad = {
    begin: () => ask(generator, 'begin') as Promise<void>,
    end: () => ask(generator, 'end') as Promise<Distribution | undefined>,
    async close() {
      generator.disconnect()
      await once(generator, 'exit')
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  // Connections are opened and code is warmed up before the first measured phase.
  await load.begin()
  await new Promise((resolve) => setTimeout(resolve, 200))
  await load.end()
  return load
}

async function ask(generator: ChildProcess, question: 'begin' | 'end'): Promise<unknown> {
  generator.send(question)
  const [answer] = (await once(generator, 'message')) as [{ latency?: Distribution }]
  return answer.latency
}
