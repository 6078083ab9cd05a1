/**
 * Terminates TLS before the sink: `node tlsFront.js HOST PORT` forwards what it decrypts, so that neither the measured process nor
 * the sink has that work. It reads its key and certificate from the first line of its standard input, as JSON, prints its port, and
 * exits when its standard input closes.
 */
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { createServer, type TLSSocket } from 'node:tls'
import type { Certificate } from './certificate.js'

const [host = '127.0.0.1', port = '25'] = process.argv.slice(2)
const sockets = new Set<TLSSocket>()

const input = createInterface({ input: process.stdin })
input.once('line', (line) => listen(JSON.parse(line) as Certificate))

function listen({ cert, key }: Certificate): void {
  const server = createServer({ cert, key, noDelay: true }, (client) => {
    sockets.add(client)
    const sink = connect({ host, port: Number(port), noDelay: true })
    client.pipe(sink).pipe(client)
    client.on('error', () => sink.destroy())
    sink.on('error', () => client.destroy())
    client.on('close', () => {
      sockets.delete(client)
      sink.destroy()
    })
  })
  input.once('close', () => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    if (address !== null && typeof address === 'object') process.stdout.write(`${address.port}\n`)
  })
}
