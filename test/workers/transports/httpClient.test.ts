import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { callApi } from '../../../workers/transports/httpClient.js'

it('A request to public hosts takes no open connection to a private host over', async () => {
  const paths: (string | undefined)[] = []
  const server = http.createServer((request, response) => {
    paths.push(request.url)
    response.end('for this network only')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  const origin = `http://localhost:${(server.address() as AddressInfo).port}`
  const { signal } = new AbortController()
  const free = new Promise<void>((resolve) => http.globalAgent.once('free', () => resolve()))
  http.get(`${origin}/trusted`, (response) => response.resume())
  await free
  // The agent keeps the connection in the turn after the event.
  await new Promise((resolve) => setImmediate(resolve))
  expect(Object.values(http.globalAgent.freeSockets).flat()).toHaveLength(1)
  await expect(
    callApi({ url: `${origin}/tenant`, headers: {}, body: 'x' }, signal, true),
  ).rejects.toMatchObject({ code: 'EPRIVATEHOST' })
  expect(paths).toEqual(['/trusted'])
})
