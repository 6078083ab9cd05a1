import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

/** A server to which nothing may go: where hostile mail wants to be loaded from. Closed when the test ends. */
export interface Elsewhere {
  readonly url: string
  /** The paths that were asked for. */
  readonly hits: string[]
  readonly connections: number
}

export async function startElsewhere(): Promise<Elsewhere> {
  const hits: string[] = []
  let connections = 0
  const server = http.createServer((request, response) => {
    hits.push(request.url ?? '')
    response.end()
  })
  server.on('connection', () => connections++)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    hits,
    get connections() {
      return connections
    },
  }
}
