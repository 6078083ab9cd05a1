import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { deliveryEventsHandler, mailHandler } from 'threadpost/fetch'
import { describe, expect, it, onTestFinished } from 'vitest'
import { mailerWithInbox } from '../support/mailer.js'

const LIMIT = 100_000
/** The limit, the rest that is read so that the client can read the response, and what arrives until the connection is closed. */
const MOST_READ = LIMIT + 1_048_576 + 3_000_000
const TOKEN = 'a-secret-of-16-letters'
const CHUNK = Buffer.alloc(65_536, ' ')

/** Posts a body that never ends. Returns the response, and how many bytes the server had read when it closed the connection. */
async function endless(path: string, fields: string, piece: Buffer) {
  const { mailer } = await mailerWithInbox({ threads: 0 })
  const auth = { tokens: [{ token: TOKEN, scopes: ['send' as const] }] }
  const mail = mailHandler(mailer, { auth, bodyLimit: LIMIT })
  const events = deliveryEventsHandler(mailer, { base: '/events', raw: { token: TOKEN }, bodyLimit: LIMIT })
  const server = createServer((request, response) => {
    events.node(request, response, () => mail.node(request, response))
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  const read = new Promise<number>((resolve) => {
    server.once('connection', (socket) => socket.once('close', () => resolve(socket.bytesRead)))
  })
  await expect.poll(() => server.listening).toBe(true)
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  let response = ''
  socket.on('data', (data) => (response += data.toString('latin1'))).on('error', () => undefined)
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKEN}\r\n${fields}\r\n\r\n`,
  )
  const send = (): void => {
    while (!socket.destroyed && socket.writable && socket.write(piece));
  }
  socket.on('drain', send)
  send()
  await closed
  return { response, read: await read }
}

const chunked = Buffer.concat([Buffer.from('10000\r\n'), CHUNK, Buffer.from('\r\n')])

describe('a body that never ends', () => {
  it.each(
    [
      ['/messages', 'Content-Type: application/json'],
      ['/events/raw', 'Content-Type: message/rfc822'],
    ].flatMap(([path = '', type = '']) => [
      [path, `${type}\r\nContent-Length: 100000000000`, CHUNK] as const,
      [path, `${type}\r\nTransfer-Encoding: chunked`, chunked] as const,
    ]),
  )('is answered with 413, and not read on: %s %j', async (path, fields, piece) => {
    const { response, read } = await endless(path, fields, piece)
    expect(response).toMatch(/^HTTP\/1\.1 413 /)
    expect(response).toMatch(/^Connection: close\r$/m)
    expect(response).toMatch(/"code":"TOO_LARGE"[^\r]*\}$/)
    expect(read).toBeLessThan(MOST_READ)
  })
})
