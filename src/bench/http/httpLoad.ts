import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import express from 'express'
import type { Distribution } from '../distribution.js'

/** Starts an Express application with a route that returns a small JSON document. */
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

/** HTTP requests from another process, at a constant rate that doesn't depend on this process. */
export interface HttpLoad {
  begin(): Promise<void>
  /** Stops the requests and resolves with their latencies, from each due time to the end of the response. */
  end(): Promise<Distribution | undefined>
  close(): Promise<void>
}

/** Opens an Express route in this process and starts its client in another. */
export async function startHttpLoad(rate: number): Promise<HttpLoad> {
  const server = await listen()
  const { port } = server.address() as AddressInfo
  const generator = fork(fileURLToPath(new URL('./generator.js', import.meta.url)), [`${port}`, `${rate}`])
  await once(generator, 'message')
  const load: HttpLoad = {
    begin: () => request(generator, 'begin') as Promise<void>,
    end: () => request(generator, 'end') as Promise<Distribution | undefined>,
    async close() {
      generator.disconnect()
      await once(generator, 'exit')
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  // Opens the connections and warms up the code before the first measured phase.
  await load.begin()
  await new Promise((resolve) => setTimeout(resolve, 200))
  await load.end()
  return load
}

async function request(generator: ChildProcess, command: 'begin' | 'end'): Promise<unknown> {
  generator.send(command)
  const [answer] = (await once(generator, 'message')) as [{ latency?: Distribution }]
  return answer.latency
}
