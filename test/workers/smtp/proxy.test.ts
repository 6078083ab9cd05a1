import { createServer } from 'node:http'
import net, { type Socket } from 'node:net'
import { createMailer } from 'threadpost'
import { expect, it } from 'vitest'
import { createAuthority } from '../../support/certificate.js'
import { join, listenOnLoopback, startSmtpServer } from '../../support/loopback.js'
import { freePort } from '../../support/ports.js'
import { ScriptedServer } from '../../support/scriptedServer.js'
import { send, senderTo, transportTo } from '../../support/smtpSender.js'
import { startSocksProxy } from '../../support/socksProxy.js'

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

it('mail goes through a SOCKS5 proxy, which resolves the name of the host', async () => {
  const server = await ScriptedServer.start()
  const login = { user: 'ada', pass: 'p@ss word' }
  const proxy = await startSocksProxy({ login, names: { 'mail.invalid': '127.0.0.1' } })
  const url = proxy.url.replace('//', `//ada:${encodeURIComponent(login.pass)}@`)
  const config = transportTo(server.port, { proxy: url, host: 'mail.invalid' })
  const sender = senderTo(server.port, config, 1)
  expect((await send(sender)).outcome.result).toBe('sent')
  expect(await sender.verify()).toMatchObject({
    ok: true,
    route: { address: '127.0.0.1', family: 4, proxy: proxy.url },
  })
  expect(proxy.targets).toEqual([`mail.invalid:${server.port}`, `mail.invalid:${server.port}`])
})

it('TLS from the first byte goes through a SOCKS5 proxy to an IPv6 address', async () => {
  const authority = createAuthority()
  const port = await startSmtpServer({ ...authority.issue('mail.test'), secure: true, authOptional: true })
  // The server that speaks TLS says nothing first.
  const tunnel = net.createServer((client) => join(client, net.connect(port, '127.0.0.1')))
  const proxy = await startSocksProxy({ speaksFirst: false })
  const report = await senderTo(await listenOnLoopback(tunnel, '::1'), {
    proxy: proxy.url,
    host: '::1',
    secure: true,
    tls: { ca: authority.cert, servername: 'mail.test' },
  }).verify()
  expect(report).toMatchObject({ ok: true, tls: { authorized: true } })
})

it.each([
  [
    'socks',
    'that can’t be reached',
    'CONNECTION_FAILED',
    /^The proxy could not be reached: connect ECONNREFUSED/,
  ],
  [
    'http',
    'that can’t be reached',
    'CONNECTION_FAILED',
    /^The proxy could not be reached: connect ECONNREFUSED/,
  ],
  ['socks', 'that refuses the password', 'AUTH_FAILED', /^The proxy refused the credentials: /],
  ['http', 'that refuses the password', 'AUTH_FAILED', /^The proxy refused the credentials: .*407/],
  [
    'socks',
    'that can’t connect',
    'CONNECTION_FAILED',
    /^The proxy did not connect to the server: .*HostUnreachable/,
  ],
  ['http', 'that can’t connect', 'CONNECTION_FAILED', /^The proxy did not connect to the server: .*502/],
] as const)(
  'a %s proxy %s makes the transport unreachable, and says so',
  async (kind, trouble, code, reason) => {
    const server = await ScriptedServer.start()
    const refused = trouble === 'that refuses the password'
    const start = async (): Promise<string> => {
      if (kind === 'socks')
        return (await startSocksProxy(refused ? { login: { user: 'a', pass: 'b' } } : { refuse: 4 })).url
      const status = refused ? 407 : 502
      const http = createServer().on('connect', (_, client: Socket) =>
        client.end(`HTTP/1.1 ${status} No\r\n\r\n`),
      )
      return `http://127.0.0.1:${await listenOnLoopback(http)}`
    }
    const proxy =
      trouble === 'that can’t be reached'
        ? `${kind === 'socks' ? 'socks5' : 'http'}://127.0.0.1:${await freePort()}`
        : (await start()).replace('//', '//ada:wrong-secret@')
    const { outcome, message } = await send(senderTo(server.port, { proxy }))
    expect(outcome).toEqual({ result: 'deferred', code })
    expect(message).toMatch(reason)
    expect(message).not.toContain('wrong-secret')
    expect(server.conversations).toEqual([])
  },
)

it('the login of a proxy that can’t be transmitted is refused, and not shown', async () => {
  for (const login of [`ada:${'s3cret'.repeat(50)}`, 'ada:s3cret%zz', `${'s3cret'.repeat(50)}:x`]) {
    const transport = { url: 'smtp://127.0.0.1:9', proxy: `socks5://${login}@127.0.0.1:9` }
    const refused: unknown = await createMailer({ transport }).catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 'INVALID_OPTIONS', path: 'transport.proxy' })
    expect((refused as Error).message).not.toContain('s3cret')
  }
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
