import type { AddressInfo, Server, Socket } from 'node:net'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { onTestFinished } from 'vitest'
import type { Certificate } from './certificate.js'

/** Starts a server on loopback, and stops it with all its connections when the test ends. @returns its port */
export async function listenOnLoopback(server: Server, host = '127.0.0.1'): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket))
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return (server.address() as AddressInfo).port
}

/** Copies what each of two sockets receives to the other. When one closes, it destroys the other. */
export function join(client: Socket, server: Socket): void {
  for (const socket of [client, server]) {
    socket.on('error', () => undefined)
    socket.on('close', () => {
      client.destroy()
      server.destroy()
    })
  }
  client.pipe(server).pipe(client)
}

/** Starts a server with STARTTLS that accepts every password. @returns its port */
export function startLoginServer(certificate: Certificate, size: number): Promise<number> {
  return startSmtpServer({
    ...certificate,
    size,
    onAuth: ({ username }, _session, callback) => callback(null, { user: username }),
  })
}

/** Starts the server of the package `smtp-server`, and closes it when the test ends. @returns its port */
export async function startSmtpServer(options: SMTPServerOptions): Promise<number> {
  const server = new SMTPServer({ logger: false, ...options })
  server.on('error', () => undefined)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // Its own close() ends TLS sessions in order; destroying their sockets can crash Node.
  onTestFinished(() => new Promise<void>((resolve) => server.close(resolve)))
  return (server.server.address() as AddressInfo).port
}
