import { once } from 'node:events'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import SMTPConnection from 'nodemailer/lib/smtp-connection'
import { describe, expect, it, onTestFinished } from 'vitest'
import { connect } from '../../../workers/transports/smtp/connect.js'
import { createAuthority } from '../../support/certificate.js'
import { startLoginServer } from '../../support/loopback.js'
import { ScriptedServer } from '../../support/scriptedServer.js'
import { transportTo } from '../../support/smtpSender.js'

/** The properties of nodemailer that `connect()` relies on: an upgrade that changes them fails here. */
describe('taking over a connection from nodemailer', () => {
  it('finds the fields that connect() reads', () => {
    const connection = new SMTPConnection({ port: 1 })
    expect(connection).toMatchObject({
      stage: 'init',
      _socket: false,
      lastServerResponse: false,
      allowsAuth: false,
      _onData: expect.any(Function) as unknown,
    })
    connection.close()
  })

  it('returns the current socket and the extensions of the last EHLO after STARTTLS and AUTH', async () => {
    const authority = createAuthority()
    const port = await startLoginServer(authority.issue('127.0.0.1'), 12_345)
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
      dsn: false,
      size: true,
      maxSize: 12_345,
    })
    // The server offers it only before STARTTLS.
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

  it.each([
    ['refusals', '334 x\r\n'],
    ['empty lines', '\r\n'],
  ])('gives up a server that floods it during the login, with %s', async (_, line) => {
    let socket: Socket | undefined
    const server = await ScriptedServer.start({
      extensions: ['AUTH PLAIN LOGIN'],
      auth: () => (own) => {
        socket = own
        const flood = line.repeat(20_000)
        const write = (): void => {
          while (!own.destroyed && own.write(flood));
        }
        own.on('drain', write)
        write()
      },
    })
    const config = transportTo(server.port, { auth: { user: 'ada', pass: 'x' } })
    const result = await connect(
      { ...config, ehloName: 'client.example' },
      'client.example',
      new AbortController().signal,
    )
    expect(result).toMatchObject({
      code: 'CONNECTION_FAILED',
      message: expect.stringContaining('more than 262144 bytes') as unknown,
    })
    await expect.poll(() => socket?.destroyed, { timeout: 20_000 }).toBe(true)
    // What the system's buffers hold, not what a minute of flooding would send.
    expect(socket!.bytesWritten).toBeLessThan(50_000_000)
  })

  it('leaves no listener that reacts to later data', async () => {
    const server = await ScriptedServer.start()
    const result = await connect(transportTo(server.port), 'client.example', new AbortController().signal)
    if (!('socket' in result)) throw new Error(result.message)
    const { socket } = result
    socket.on('data', () => undefined)
    server.conversations[0]?.socket.write('421 unsolicited\r\nnot a reply\r\n')
    await once(socket, 'data')
    await new Promise((resolve) => setImmediate(resolve))
    expect(socket.destroyed || socket.writableEnded).toBe(false)
    const closed = new Promise((resolve) => socket.once('close', resolve))
    server.conversations[0]?.socket.resetAndDestroy()
    socket.on('error', () => undefined)
    await closed
  })

  it('can be aborted', async () => {
    const server = await ScriptedServer.start({ greeting: () => new Promise<string>(() => undefined) })
    const abort = new AbortController()
    const result = connect(transportTo(server.port), 'client.example', abort.signal)
    abort.abort()
    expect(await result).toMatchObject({ code: 'CONNECTION_FAILED' })
  })

  it('connects from the local address that the transport names', async () => {
    const server = await ScriptedServer.start()
    const config = transportTo(server.port, { localAddress: '127.0.0.42' })
    const result = await connect(config, 'client.example', new AbortController().signal)
    if (!('socket' in result)) throw new Error(result.message)
    onTestFinished(() => void result.socket.destroy())
    expect(server.conversations[0]?.socket.remoteAddress).toBe('127.0.0.42')
  })

  it('fails before the envelope if the local address is not one of this machine', async () => {
    const server = await ScriptedServer.start()
    const config = transportTo(server.port, { localAddress: '192.0.2.1' })
    const result = await connect(config, 'client.example', new AbortController().signal)
    expect('socket' in result).toBe(false)
  })
})
