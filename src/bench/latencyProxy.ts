/**
 * A TCP proxy that adds latency: `node latencyProxy.js HOST PORT MS` forwards bytes in both directions, each half of MS later.
 * It prints its port, and exits when its standard input closes.
 */
import { connect, createServer, type Socket } from 'node:net'

const [host = '127.0.0.1', port = '25', latency = '0'] = process.argv.slice(2)
const oneWay = Number(latency) / 2
const sockets = new Set<Socket>()

const server = createServer({ noDelay: true }, (client) => {
  const upstream = connect({ host, port: Number(port), noDelay: true })
  forward(client, upstream)
  forward(upstream, client)
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address !== null && typeof address === 'object') process.stdout.write(`${address.port}\n`)
})
process.stdin.resume().on('end', () => {
  server.close()
  for (const socket of sockets) socket.destroy()
})

/** Timers of the same length fire in the order in which they were set, so the bytes keep their order. */
function forward(from: Socket, to: Socket): void {
  sockets.add(from)
  from.on('data', (chunk) => setTimeout(() => to.writable && to.write(chunk), oneWay))
  from.on('error', () => undefined)
  from.on('close', () => {
    sockets.delete(from)
    setTimeout(() => to.destroy(), oneWay)
  })
}
