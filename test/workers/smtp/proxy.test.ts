import { createServer } from 'node:http'
import net, { type AddressInfo, type Socket } from 'node:net'
import { SMTPServer } from 'smtp-server'
import { expect, it, onTestFinished } from 'vitest'
import { createAuthority } from '../../support/certificate.js'
import { ScriptedServer } from '../../support/scriptedServer.js'
import { send, senderTo } from '../../support/smtpSender.js'

/** An HTTP proxy; it keeps where it was asked to connect to. */
async function proxy(): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer().on('connect', (request, client: Socket) => {
    asked.push(request.url ?? '')
    const [host, port] = (request.url ?? '').split(':')
    const target = net.connect(Number(port), host, () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n')
      target.pipe(client).pipe(target)
    })
    for (const socket of [target, client]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        target.destroy()
        client.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

it('mail goes through an HTTP proxy', async () => {
  const server = await ScriptedServer.start()
  const through = await proxy()
  const { outcome } = await send(senderTo(server.port, { proxy: through.url }))
  expect(outcome.result).toBe('sent')
  expect(through.asked).toEqual([`127.0.0.1:${server.port}`])
})

it('a proxy that is not there makes the transport unreachable', async () => {
  const server = await ScriptedServer.start()
  const gone = net.createServer()
  await new Promise<void>((resolve) => gone.listen(0, '127.0.0.1', resolve))
  const { port } = gone.address() as AddressInfo
  await new Promise((resolve) => gone.close(resolve))
  const { outcome } = await send(senderTo(server.port, { proxy: `http://127.0.0.1:${port}` }))
  expect(outcome).toEqual({ result: 'deferred', code: 'CONNECTION_FAILED' })
})

it('XOAUTH2 sends the access token, through a proxy and STARTTLS', async () => {
  const authority = createAuthority()
  const tokens: (string | undefined)[] = []
  const server = new SMTPServer({
    ...authority.issue('127.0.0.1'),
    authMethods: ['XOAUTH2'],
    logger: false,
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
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => new Promise<void>((resolve) => server.close(resolve)))
  const { port } = server.server.address() as AddressInfo
  const through = await proxy()
  const common = { requireTLS: true, tls: { ca: authority.cert }, proxy: through.url }
  const auth = { user: 'ada@example.com', oauth2: { accessToken: 'secret-token' } }
  const sender = senderTo(port, { ...common, auth })
  expect((await send(sender)).outcome.result).toBe('sent')
  expect(tokens).toEqual(['secret-token'])

  const wrong = senderTo(port, { ...common, auth: { user: 'ada', oauth2: { accessToken: 'stale' } } })
  expect((await send(wrong)).outcome).toEqual({ result: 'deferred', code: 'AUTH_FAILED' })
})
