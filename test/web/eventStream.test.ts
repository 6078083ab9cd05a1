import { once } from 'node:events'
import { get, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { expect, onTestFinished, test } from 'vitest'
import type * as built from '../../src/web/eventStream.js'

const { EventStreams } = (await import(
  new URL('../../dist/src/web/eventStream.js', import.meta.url).href
)) as typeof built

/** A server of nothing but streams, and how to join. */
async function serve() {
  const streams = new EventStreams()
  const app = express()
  app.get('/', (_request, response) => void streams.open(response))
  const server: Server = app.listen(0, '127.0.0.1')
  onTestFinished(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const join = async () => {
    const request = get({ host: '127.0.0.1', port, agent: false })
    request.on('error', () => undefined)
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    response.on('error', () => undefined)
    return response
  }
  return { streams, join }
}

test('a stream buffers only the newest event of each kind for a page that does not read', async () => {
  const { streams, join } = await serve()
  const page = await join()
  const [stream] = streams
  const ballast = 'x'.repeat(64 * 1024)
  let told = 0
  while (!stream!.behind) stream!.send({ told: told++, ballast })
  for (let late = 0; late < 1000; late++) {
    stream!.send({ late, ballast })
    stream!.send({ late }, 'other')
  }
  stream!.end()
  let text = ''
  for await (const chunk of page.setEncoding('utf8')) text += String(chunk)
  const events = text.split('\n\n').filter((block) => block !== '')
  expect(events).toHaveLength(told + 2)
  expect(events.slice(0, told).every((event, index) => event.startsWith(`data: {"told":${index},`))).toBe(
    true,
  )
  expect(events[told]).toMatch(/^data: \{"late":999,/)
  expect(events[told + 1]).toBe('event: other\ndata: {"late":999}')
})

test('a page that reads again receives the buffered events', async () => {
  const { streams, join } = await serve()
  const page = await join()
  const [stream] = streams
  while (!stream!.behind) stream!.send({ ballast: 'x'.repeat(64 * 1024) })
  stream!.send({ late: 1 })
  stream!.send({ late: 2 })
  let text = ''
  for await (const chunk of page.setEncoding('utf8')) {
    text = (text + String(chunk)).slice(-100)
    if (text.endsWith('data: {"late":2}\n\n')) break
  }
  expect(text).not.toContain('"late":1')
})

test('the number of open streams is limited, and a closed stream makes room for another', async () => {
  const { streams, join } = await serve()
  const pages = await Promise.all(Array.from({ length: 100 }, join))
  expect(pages.map(({ statusCode }) => statusCode)).toEqual(Array(100).fill(200))
  const refused = await join()
  expect([refused.statusCode, refused.headers['content-type']]).toEqual([
    429,
    expect.stringContaining('application/problem+json'),
  ])
  pages[0]!.destroy()
  await expect.poll(() => streams.size).toBe(99)
  expect((await join()).statusCode).toBe(200)
})
