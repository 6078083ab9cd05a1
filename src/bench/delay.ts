/**
 * A process that makes a line long: `node delay.js HOST PORT MS` passes bytes on, each way half of that later. Prints
 * its port, ends when its standard input closes.
 */
import { connect, createServer, type Socket } from 'node:net'

const [host = '127.0.0.1', port = '25', latency = '0'] = process.argv.slice(2)
const oneWay = Number(latency) / 2
const sockets = new Set<Socket>()

const server = createServer({ noDelay: true }, (near) => {
  const far = connect({ host, port: Number(port), noDelay: true })
  pass(near, far)
  pass(far, near)
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address !== null && typeof address === 'object') process.stdout.write(`${address.port}\n`)
})
process.stdin.resume().on('end', () => {
  server.close()
  for (const socket of sockets) socket.destroy()
})

/** Timers of the same length go off in the order in which they were set, so that bytes keep theirs. */
function pass(from: Socket, to: Socket): void {
  sockets.add(from)
  from.on('data', (chunk) => setTimeout(() => to.writable && to.write(chunk), oneWay))
  from.on('error', () => undefined)
  from.on('close', () => {
    sockets.delete(from)
    setTimeout(() => to.destroy(), oneWay)
  })
}
