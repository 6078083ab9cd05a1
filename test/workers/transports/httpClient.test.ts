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

it('A response without an end is read up to a limit', async () => {
  const server = http.createServer((request, response) => {
    request.resume()
    response.writeHead(503)
    response.on('drain', () => fill(response))
    fill(response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const { signal } = new AbortController()
  const { status, text } = await callApi({ url, headers: {}, body: 'x' }, signal)
  expect(status).toBe(503)
  expect(text).toHaveLength(64 * 1024)
})

function fill(response: http.ServerResponse): void {
  while (!response.destroyed && response.write('x'.repeat(10_000)));
}
