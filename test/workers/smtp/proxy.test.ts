import { createServer } from 'node:http'
import net, { type Socket } from 'node:net'
import { expect, it } from 'vitest'
import { createAuthority } from '../../support/certificate.js'
import { join, listenOnLoopback, startSmtpServer } from '../../support/loopback.js'
import { freePort } from '../../support/ports.js'
import { ScriptedServer } from '../../support/scriptedServer.js'
import { send, senderTo } from '../../support/smtpSender.js'

/** An HTTP proxy. It keeps the addresses to which it was asked to connect. */
async function startProxy(): Promise<{ url: string; targets: string[] }> {
  const targets: string[] = []
  const server = createServer().on('connect', (request, client: Socket) => {
    targets.push(request.url ?? '')
    const [host, port] = (request.url ?? '').split(':')
    const target = net.connect(Number(port), host, () => client.write('HTTP/1.1 200 OK\r\n\r\n'))
    join(client, target)
  })
  return { url: `http://127.0.0.1:${await listenOnLoopback(server)}`, targets }
}

it('mail goes through an HTTP proxy', async () => {
  const server = await ScriptedServer.start()
  const proxy = await startProxy()
  const { outcome } = await send(senderTo(server.port, { proxy: proxy.url }))
  expect(outcome.result).toBe('sent')
  expect(proxy.targets).toEqual([`127.0.0.1:${server.port}`])
})

it('a proxy that can’t be reached makes the transport unreachable', async () => {
  const server = await ScriptedServer.start()
  const { outcome } = await send(senderTo(server.port, { proxy: `http://127.0.0.1:${await freePort()}` }))
  expect(outcome).toEqual({ result: 'deferred', code: 'CONNECTION_FAILED' })
})

it('XOAUTH2 sends the access token, through a proxy and STARTTLS', async () => {
  const authority = createAuthority()
  const tokens: (string | undefined)[] = []
  const port = await startSmtpServer({
    ...authority.issue('127.0.0.1'),
    authMethods: ['XOAUTH2'],
    onAuth({ method, username, accessToken }, _session, callback) {
      tokens.push(accessToken)
      if (method === 'XOAUTH2' && accessToken === 'secret-token') callback(null, { user: username })
      else callback(null, { data: { status: '401', schemes: 'bearer' } })
    },
    onData(stream, _session, callback) {
      stream.resume()
      stream.on('end', callback)
    },
  })
  const proxy = await startProxy()
  const common = { requireTLS: true, tls: { ca: authority.cert }, proxy: proxy.url }
  const auth = { user: 'ada@example.com', oauth2: { accessToken: 'secret-token' } }
  const sender = senderTo(port, { ...common, auth })
  expect((await send(sender)).outcome.result).toBe('sent')
  expect(tokens).toEqual(['secret-token'])

  const wrong = senderTo(port, { ...common, auth: { user: 'ada', oauth2: { accessToken: 'stale' } } })
  expect((await send(wrong)).outcome).toEqual({ result: 'deferred', code: 'AUTH_FAILED' })
})
