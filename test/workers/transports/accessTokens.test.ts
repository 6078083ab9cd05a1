import { generateKeyPairSync, verify } from 'node:crypto'
import { createMailer } from 'threadpost'
import { expect, it } from 'vitest'
import { sharedClock } from '../../../src/protocol/tasks.js'
import { TokenCell } from '../../../src/protocol/tokenCell.js'
import type { SmtpAuth, TokenGrant } from '../../../src/protocol/transportConfig.js'
import { AccessTokens } from '../../../workers/transports/accessTokens.js'
import { testMailer } from '../../support/mailer.js'
import { freePort } from '../../support/ports.js'
import { ScriptedServer } from '../../support/scriptedServer.js'
import { send, senderTo } from '../../support/smtpSender.js'
import { startTokenEndpoint, startTokenServer } from '../../support/tokenEndpoint.js'

const SECRET = 's3cret-of-the-client'
const USER = 'shop@acme.example'
const never = new AbortController().signal

const clientOf = (tokenEndpoint: string): TokenGrant => ({
  grant: 'client_credentials',
  tokenEndpoint,
  clientId: 'client',
  clientSecret: SECRET,
  scope: 'mail',
})
const loginWith = (grant: TokenGrant): SmtpAuth => ({ user: USER, oauth2: { grant } })

it('one access token serves all threads and connections of a transport', async () => {
  const endpoint = await startTokenEndpoint()
  const { port, presented } = await startTokenServer((token) => token === 'token-1')
  const mailer = await testMailer({
    threads: 2,
    transport: {
      url: `smtp://127.0.0.1:${port}`,
      messagesPerConnection: 1,
      auth: {
        user: USER,
        clientId: 'client',
        clientSecret: SECRET,
        tokenEndpoint: endpoint.url,
        scope: 'https://outlook.office365.com/.default',
      },
    },
  })
  const mail = { to: 'ada@example.com', subject: 'Hi', text: 'Hello' }
  const sent = await Promise.all(Array.from({ length: 8 }, () => mailer.sendAndWait(mail)))
  expect(new Set(sent.map(({ status }) => status))).toEqual(new Set(['sent']))
  expect(new Set(presented)).toEqual(new Set([`${USER} token-1`]))
  expect(await mailer.verify()).toMatchObject({ ok: true, authenticated: true })
  expect(endpoint.requests).toEqual([
    {
      grant_type: 'client_credentials',
      client_id: 'client',
      client_secret: SECRET,
      scope: 'https://outlook.office365.com/.default',
    },
  ])
})

it('threads that need a token at the same time request one, and replace a refused one once', async () => {
  const { url, requests } = await startTokenEndpoint()
  const cell = TokenCell.allocate()
  const threads = [1, 2, 3].map(() => new AccessTokens({ grant: clientOf(url), cell }, false))
  const get = (refused?: string): Promise<unknown[]> =>
    Promise.all(threads.map((tokens) => tokens.get(never, refused)))
  expect(await get()).toEqual(['token-1', 'token-1', 'token-1'])
  expect(await get('token-1')).toEqual(['token-2', 'token-2', 'token-2'])
  expect(requests).toHaveLength(2)
})

it('a token is renewed before it ends, and used until then if that fails', async () => {
  const endpoint = await startTokenEndpoint()
  const cell = TokenCell.allocate()
  const shared = new TokenCell(cell)
  const tokens = new AccessTokens({ grant: clientOf(endpoint.url), cell }, false)
  const now = sharedClock()
  shared.write({ text: 'old', renewAt: now, endsAt: now + 1e9 })
  endpoint.status = 503
  expect(await tokens.get(never)).toBe('old')
  endpoint.status = 200
  endpoint.lifetime = 600
  expect(await tokens.get(never)).toBe('token-2')
  const { renewAt = 0, endsAt = 0 } = shared.read() ?? {}
  expect(Math.round(endsAt - renewAt)).toBe(60_000)
  shared.write({ text: 'old', renewAt: now, endsAt: now })
  endpoint.status = 503
  expect(await tokens.get(never)).toMatchObject({ code: 'CONNECTION_FAILED' })
})

it('a thread that died while it requested a token, or wrote it, stops no other', async () => {
  const { url } = await startTokenEndpoint()
  const cell = TokenCell.allocate()
  const shared = new TokenCell(cell)
  expect(shared.lock(60_000)).toBeDefined()
  expect(shared.lock(60_000)).toBeUndefined()
  // The words of the version and the lock: it writes, and took the lock long ago.
  new Int32Array(cell).set([1, Math.floor(sharedClock() % 2 ** 30) - 100_000])
  expect(shared.read()).toBeUndefined()
  expect(await new AccessTokens({ grant: clientOf(url), cell }, false).get(never)).toBe('token-1')
  expect(shared.read()?.text).toBe('token-1')
})

it('a refused token is replaced once on the same connection', async () => {
  const endpoint = await startTokenEndpoint()
  const { port, presented } = await startTokenServer((token) => token === 'token-1')
  const auth: SmtpAuth = {
    user: USER,
    oauth2: { accessToken: 'revoked', grant: clientOf(endpoint.url) },
  }
  expect((await send(senderTo(port, { auth }))).outcome.result).toBe('sent')
  expect(presented).toEqual([`${USER} revoked`, `${USER} token-1`])
})

it('a server that refuses every token gets two, and no text contains them', async () => {
  const endpoint = await startTokenEndpoint()
  const server = await ScriptedServer.start({
    extensions: ['AUTH XOAUTH2'],
    auth: (line) => `535 5.7.3 ${line} of token-1, token-2, and ${SECRET} is not valid`,
  })
  const result = await send(senderTo(server.port, { auth: loginWith(clientOf(endpoint.url)) }, 1))
  expect(result).toMatchObject({ outcome: { result: 'deferred', code: 'AUTH_FAILED' }, reply: { code: 535 } })
  expect(server.conversations[0]?.commands.filter((line) => line.startsWith('AUTH'))).toHaveLength(2)
  const text = JSON.stringify(result)
  const initial = Buffer.from(`user=${USER}\x01auth=Bearer token-1\x01\x01`).toString('base64')
  for (const secret of ['token-1', 'token-2', SECRET, initial]) expect(text).not.toContain(secret)
})

it('OAUTHBEARER is used where XOAUTH2 is not offered, and a refusal is acknowledged', async () => {
  const { url } = await startTokenEndpoint()
  const server = await ScriptedServer.start({
    extensions: ['AUTH PLAIN OAUTHBEARER'],
    auth: (line) => (line.endsWith(second) ? '235 2.7.0 welcome' : '334 e30='),
    // The line that acknowledges is no command.
    rset: () => '250 OK',
  })
  const credentials = (token: string): string =>
    Buffer.from(
      `n,a=a=2Cb=3Dc,\x01host=127.0.0.1\x01port=${server.port}\x01auth=Bearer ${token}\x01\x01`,
    ).toString('base64')
  const second = credentials('token-2')
  const auth: SmtpAuth = { user: 'a,b=c', oauth2: { grant: clientOf(url) } }
  expect((await send(senderTo(server.port, { auth }, 1))).outcome.result).toBe('sent')
  expect(server.conversations[0]?.commands.slice(1, 4)).toEqual([
    `AUTH OAUTHBEARER ${credentials('token-1')}`,
    'AQ==',
    `AUTH OAUTHBEARER ${second}`,
  ])
})

it('a token endpoint that refuses the client or can’t be reached leaves the server alone', async () => {
  const endpoint = await startTokenEndpoint()
  endpoint.status = 401
  const server = await ScriptedServer.start({ extensions: ['AUTH XOAUTH2'] })
  const refused = await send(senderTo(server.port, { auth: loginWith(clientOf(endpoint.url)) }))
  expect(refused).toMatchObject({
    outcome: { result: 'deferred', code: 'AUTH_FAILED' },
    message: 'The token endpoint refused the credentials: invalid_client: *** is wrong',
  })
  const nowhere = loginWith(clientOf(`http://127.0.0.1:${await freePort()}/token`))
  const unreachable = await send(senderTo(server.port, { auth: nowhere }))
  expect(unreachable.outcome).toEqual({ result: 'deferred', code: 'CONNECTION_FAILED' })
  expect(unreachable.message).toMatch(/^The token endpoint could not be reached: connect ECONNREFUSED/)
  const tenant = new AccessTokens({ grant: clientOf(endpoint.url) }, true)
  expect(await tenant.get(never)).toMatchObject({ code: 'CONNECTION_FAILED' })
  expect(server.conversations).toEqual([])
  expect(endpoint.requests).toHaveLength(1)
})

it('a refresh token and a service account request tokens in their own ways', async () => {
  const { url, requests } = await startTokenEndpoint()
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  for (const grant of [
    {
      grant: 'refresh_token',
      tokenEndpoint: url,
      refreshToken: 'again',
      clientId: 'c',
      clientSecret: SECRET,
    },
    {
      grant: 'jwt-bearer',
      tokenEndpoint: url,
      issuer: 'robot',
      subject: USER,
      privateKey: pem,
      scope: 'mail',
    },
  ] as const)
    await new AccessTokens({ grant }, false).get(never)
  expect(requests[0]).toEqual({
    grant_type: 'refresh_token',
    refresh_token: 'again',
    client_id: 'c',
    client_secret: SECRET,
  })
  const [head = '', claims = '', signature = ''] = (requests[1]?.['assertion'] ?? '').split('.')
  expect(
    verify('RSA-SHA256', Buffer.from(`${head}.${claims}`), publicKey, Buffer.from(signature, 'base64url')),
  ).toBe(true)
  expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toMatchObject({
    iss: 'robot',
    sub: USER,
    aud: url,
    scope: 'mail',
  })
})

it.each([
  [{ user: 'a', clientId: 'c', clientSecret: SECRET }, 'transport.auth.pass', 'a tenantId or tokenEndpoint'],
  [
    { user: 'a', clientId: 'c', clientSecret: SECRET, tokenEndpoint: 'https://a.example/t' },
    'transport.auth.scope',
    'required',
  ],
  [
    { user: 'a', refreshToken: SECRET, accessUrl: 'http://a.example/t' },
    'transport.auth.accessUrl',
    'must be https',
  ],
  [
    { user: 'a', clientId: 'c', clientSecret: SECRET, tenantId: 'a/b' },
    'transport.auth.tenantId',
    'not allowed',
  ],
  [
    { user: 'a', serviceClient: 'c', privateKey: SECRET },
    'transport.auth.privateKey',
    'is not an RSA private key',
  ],
  [{ user: 'a', accessToken: `${SECRET}\r\nRSET` }, 'transport.auth.accessToken', 'not allowed'],
])('refuses OAuth 2.0 settings that can’t work, at %j', async (auth, path, reason) => {
  const error: unknown = await createMailer({
    from: 'a@acme.example',
    transport: { url: 'smtp://127.0.0.1:1', auth },
  }).catch((cause: unknown) => cause)
  expect(error).toMatchObject({ code: 'INVALID_OPTIONS', path })
  expect(String(error)).toContain(reason)
  expect(String(error)).not.toContain(SECRET)
})
