import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { TLSSocket } from 'node:tls'
import SMTPConnection from 'nodemailer/lib/smtp-connection'
import { SMTPServer } from 'smtp-server'
import { describe, expect, it, onTestFinished } from 'vitest'
import { connect } from '../../../workers/transports/smtp/connect.js'
import { createAuthority } from '../../support/certificate.js'
import { ScriptedServer } from '../../support/scriptedServer.js'
import { transportTo } from '../../support/smtpSender.js'

/** What is relied on in nodemailer: an upgrade that changes it fails here. */
describe('taking a connection over from nodemailer', () => {
  it('finds the fields it reads', () => {
    const connection = new SMTPConnection({ port: 1 })
    expect(connection).toMatchObject({
      stage: 'init',
      _socket: false,
      lastServerResponse: false,
      allowsAuth: false,
    })
    connection.close()
  })

  it('after STARTTLS and AUTH gives the socket in use and the extensions of the last EHLO', async () => {
    const authority = createAuthority()
    const server = new SMTPServer({
      ...authority.issue('127.0.0.1'),
      size: 12_345,
      logger: false,
      onAuth: ({ username }, _session, callback) => callback(null, { user: username }),
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => new Promise<void>((resolve) => server.close(resolve)))
    const { port } = server.server.address() as AddressInfo
    const config = transportTo(port, {
      requireTLS: true,
      tls: { ca: authority.cert },
      auth: { user: 'ada', pass: 'x' },
    })
    const result = await connect(config, 'client.example', new AbortController().signal)
    if (!('socket' in result)) throw new Error(result.message)
    const { socket, extensions } = result
    onTestFinished(() => void socket.destroy())

    expect(socket).toBeInstanceOf(TLSSocket)
    expect(socket).toMatchObject({ authorized: true })
    expect(extensions).toMatchObject({
      pipelining: true,
      eightBitMime: true,
      smtpUtf8: true,
      size: true,
      maxSize: 12_345,
    })
    // Announced before STARTTLS only.
    expect(extensions.keywords).not.toContain('STARTTLS')
    expect(socket.listenerCount('data')).toBe(0)
    expect(socket.timeout ?? 0).toBe(0)

    const replies: string[] = []
    socket.on('data', (chunk: Buffer) => replies.push(chunk.toString()))
    socket.write('NOOP\r\n')
    await once(socket, 'data')
    expect(replies.join('')).toMatch(/^250 /)
    socket.write('QUIT\r\n')
    await once(socket, 'close')
    expect(replies.at(-1)).toMatch(/^221 /)
  })

  it('leaves nothing behind that reacts to what comes later', async () => {
    const server = await ScriptedServer.start()
    const result = await connect(transportTo(server.port), 'client.example', new AbortController().signal)
    if (!('socket' in result)) throw new Error(result.message)
    const { socket } = result
    socket.on('data', () => undefined)
    server.conversations[0]?.socket.write('421 unasked for\r\nnonsense\r\n')
    await once(socket, 'data')
    await new Promise((resolve) => setImmediate(resolve))
    expect(socket.destroyed || socket.writableEnded).toBe(false)
    const closed = new Promise((resolve) => socket.once('close', resolve))
    server.conversations[0]?.socket.resetAndDestroy()
    socket.on('error', () => undefined)
    await closed
  })

  it('can be given up', async () => {
    const server = await ScriptedServer.start({ greeting: () => new Promise<string>(() => undefined) })
    const abort = new AbortController()
    const result = connect(transportTo(server.port), 'client.example', abort.signal)
    abort.abort()
    expect(await result).toMatchObject({ code: 'CONNECTION_FAILED' })
  })
})
