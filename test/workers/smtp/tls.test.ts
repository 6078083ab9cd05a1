import net from 'node:net'
import type { SMTPServerOptions } from 'smtp-server'
import { describe, expect, it } from 'vitest'
import type { SmtpTransport } from '../../../src/protocol/transportConfig.js'
import { type Certificate, createAuthority } from '../../support/certificate.js'
import { join, listenOnLoopback, startSmtpServer } from '../../support/loopback.js'
import { ScriptedServer, type Script, SILENCE } from '../../support/scriptedServer.js'
import { send, senderTo } from '../../support/smtpSender.js'

const authority = createAuthority()
const good = authority.issue('127.0.0.1')
const trusting: Pick<SmtpTransport, 'tls' | 'requireTLS'> = { requireTLS: true, tls: { ca: authority.cert } }

/** A server with TLS. It keeps the messages that it receives, and how each was sent. */
async function tlsServer(certificate: Certificate, options: SMTPServerOptions = {}) {
  const received: { text: string; secure: boolean; user: string | undefined }[] = []
  const port = await startSmtpServer({
    ...certificate,
    authOptional: true,
    onData(stream, session, callback) {
      let text = ''
      stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
      stream.on('end', () => {
        received.push({ text, secure: session.secure, user: session.user })
        callback()
      })
    },
    ...options,
  })
  return { port, received }
}

/** Relays to a server, and keeps the bytes that the client sent. */
async function wiretap(port: number): Promise<{ port: number; seen: () => string }> {
  const chunks: Buffer[] = []
  const relay = net.createServer((client) => {
    client.on('data', (chunk) => chunks.push(chunk))
    join(client, net.connect(port, '127.0.0.1'))
  })
  return { port: await listenOnLoopback(relay), seen: () => Buffer.concat(chunks).toString('latin1') }
}

const auth = { user: 'ada', pass: 'correct horse' }
const checksPassword: SMTPServerOptions = {
  authOptional: false,
  onAuth({ username, password }, _session, callback) {
    if (username === auth.user && password === auth.pass) callback(null, { user: username })
    else callback(new Error('Invalid username or password'))
  },
}

/** Accepts STARTTLS, and then answers the client's first bytes of TLS without TLS. */
const answersWithoutTls: Script = {
  extensions: ['STARTTLS'],
  async starttls(_, conversation) {
    conversation.socket.write('220 ready\r\n')
    await conversation.more()
    return '250 scripted'
  },
}

describe('TLS', () => {
  it.each([
    ['STARTTLS', false],
    ['TLS from the first byte', true],
  ])('sends over %s with AUTH, pipelined', async (_, secure) => {
    const server = await tlsServer(good, { ...checksPassword, secure })
    const relay = await wiretap(server.port)
    const sender = senderTo(relay.port, { ...trusting, secure, auth }, 1)
    const all = await Promise.all(
      Array.from({ length: 20 }, (_each, index) => send(sender, { text: `m${index}` })),
    )
    expect(all.every(({ outcome }) => outcome.result === 'sent')).toBe(true)
    expect(server.received).toHaveLength(20)
    expect(server.received.every((each) => each.secure && each.user === 'ada')).toBe(true)
    expect(relay.seen()).not.toContain('MAIL FROM')
    expect(relay.seen()).not.toContain('Subject')
  })

  it('carries a large message', async () => {
    const server = await tlsServer(good)
    const text = 'a line of some length to fill the message\r\n'.repeat(100_000)
    const { outcome } = await send(senderTo(server.port, trusting), { text })
    expect(outcome.result).toBe('sent')
    expect(server.received[0]?.text.length).toBeGreaterThan(4_000_000)
  })

  it('is used if the server offers it, even if it is not required', async () => {
    const server = await tlsServer(good)
    const { outcome } = await send(senderTo(server.port, { tls: { ca: authority.cert } }))
    expect(outcome.result).toBe('sent')
    expect(server.received[0]?.secure).toBe(true)
  })

  const untrusted = createAuthority().issue('127.0.0.1')
  const certificates: [string, Certificate, SmtpTransport['tls']][] = [
    ['of an unknown authority', untrusted, trusting.tls],
    ['that is self-signed', createAuthority(), {}],
    ['for another name', authority.issue('other.example'), trusting.tls],
    ['that has expired', authority.issue('127.0.0.1', { expired: true }), trusting.tls],
    ['for another name than the configured one', good, { ...trusting.tls, servername: 'other.example' }],
  ]
  describe.each([
    ['STARTTLS', { secure: false, requireTLS: true }],
    ['optional STARTTLS', { secure: false, requireTLS: false }],
    ['TLS from the first byte', { secure: true, requireTLS: true }],
  ])('with %s', (_, mode) => {
    it.each(certificates)(
      'sends nothing to a server with a certificate %s',
      async (_name, certificate, tls) => {
        const server = await tlsServer(certificate, { secure: mode.secure })
        const relay = await wiretap(server.port)
        const { outcome } = await send(senderTo(relay.port, { ...mode, tls, auth }), { text: 'secret' })
        expect(outcome).toEqual({ result: 'deferred', code: 'TLS_FAILED' })
        expect(server.received).toEqual([])
        expect(relay.seen()).not.toMatch(/MAIL FROM|AUTH|secret/)
      },
    )
  })

  it('accepts any certificate if rejectUnauthorized is false', async () => {
    const server = await tlsServer(untrusted)
    const sender = senderTo(server.port, { requireTLS: true, tls: { rejectUnauthorized: false } })
    expect((await send(sender)).outcome.result).toBe('sent')
  })

  it.each<[string, Script, string]>([
    ['is not offered', { extensions: ['PIPELINING'] }, 'TLS_FAILED'],
    ['is refused', { extensions: ['PIPELINING', 'STARTTLS'] }, 'TLS_FAILED'],
    ['is impossible because EHLO is not understood', { ehlo: () => '502 5.5.1 what?' }, 'TLS_FAILED'],
    [
      'is offered, and then the server is silent',
      { extensions: ['STARTTLS'], starttls: () => SILENCE },
      'CONNECTION_FAILED',
    ],
    [
      'is accepted, and then the server is silent',
      { extensions: ['STARTTLS'], starttls: () => '220 ready' },
      'TLS_FAILED',
    ],
    ['is accepted, and then the server continues without TLS', answersWithoutTls, 'TLS_FAILED'],
  ])('that is required and %s keeps every byte of the message here', async (_, script, code) => {
    const server = await ScriptedServer.start(script)
    // Two of the cases wait until one of these limits has passed; the others fail at once.
    const sender = senderTo(server.port, {
      ...trusting,
      auth,
      timeouts: { greeting: 1_000, handshake: 2_000 },
    })
    const { outcome } = await send(sender, { text: 'secret' })
    expect(outcome).toEqual({ result: 'deferred', code })
    const commands = server.conversations.flatMap((each) => each.commands).join('\n')
    expect(commands).not.toMatch(/MAIL|AUTH|secret/)
    expect(server.messages).toEqual([])
  })

  it('fails with a server that does not support it', async () => {
    const server = await ScriptedServer.start()
    const { outcome } = await send(senderTo(server.port, { ...trusting, secure: true }))
    expect(outcome).toEqual({ result: 'deferred', code: 'TLS_FAILED' })
  })

  it('ignores replies that the server sent before the handshake (response injection)', async () => {
    const server = await ScriptedServer.start({
      extensions: ['STARTTLS'],
      starttls: () => '220 ready\r\n250-injected\r\n250 PIPELINING',
    })
    const sender = senderTo(server.port, { ...trusting, timeouts: { greeting: 200, handshake: 200 } })
    expect((await send(sender)).outcome.result).toBe('deferred')
  })
})

describe('authentication', () => {
  it('that is refused defers the message, and the password appears nowhere', async () => {
    const server = await tlsServer(good, checksPassword)
    const sender = senderTo(server.port, { ...trusting, auth: { user: 'ada', pass: 'wrong' } })
    const delivered = await send(sender)
    expect(delivered).toMatchObject({
      outcome: { result: 'deferred', code: 'AUTH_FAILED' },
      reply: { code: 535 },
      recipients: [],
    })
    expect(delivered.message).not.toContain('wrong')
    expect(server.received).toEqual([])
  })

  it('that is not offered fails without sending the password', async () => {
    const server = await ScriptedServer.start({ extensions: ['PIPELINING'] })
    const { outcome } = await send(senderTo(server.port, { auth }))
    expect(outcome).toEqual({ result: 'deferred', code: 'AUTH_FAILED' })
    expect(server.conversations[0]?.commands).toEqual(['EHLO client.example'])
  })

  it.each([
    ['421 4.7.0 later', 'CONNECTION_FAILED'],
    ['454 4.7.0 temporary', 'AUTH_FAILED'],
    ['535 5.7.8 no', 'AUTH_FAILED'],
  ])('that is answered with %s gives %s', async (reply, code) => {
    const server = await ScriptedServer.start({ extensions: ['AUTH PLAIN'], auth: () => reply })
    const { outcome } = await send(senderTo(server.port, { auth }))
    expect(outcome).toEqual({ result: 'deferred', code })
  })
})
