import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** Milliseconds without a byte after which a client has said all that it says without an answer, on a busy machine as well. */
const QUIET = 200

/** The record of an SMTP server on a far line. */
export interface Turns {
  port: number
  connections: number
  messages: number
  /** Answers after which the client had been waiting: round trips, on a line where each one counts. */
  turns: number
}

/**
 * An SMTP server that answers only once nothing more comes, as if each answer took long: what a client writes ahead
 * costs no turn, what it writes after an answer costs one. Counts don't depend on how fast the machine is.
 */
export async function turnServer(): Promise<Turns> {
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    converse(socket, seen)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const seen: Turns = {
    port: (server.address() as AddressInfo).port,
    connections: 0,
    messages: 0,
    turns: 0,
  }
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return seen
}

const EHLO = '250-turns\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n'

function converse(socket: Socket, seen: Turns): void {
  let input = ''
  let inData = false
  let timer: NodeJS.Timeout | undefined
  seen.connections++
  socket.write('220 turns ESMTP\r\n')
  socket.on('error', () => undefined)
  socket.on('close', () => clearTimeout(timer))
  socket.on('data', (chunk) => {
    input += chunk.toString('latin1')
    clearTimeout(timer)
    timer = setTimeout(answer, QUIET)
  })
  function answer(): void {
    let replies = ''
    for (;;) {
      const mark = inData ? '\r\n.\r\n' : '\r\n'
      const end = input.indexOf(mark)
      if (end < 0) break
      const verb = input.slice(0, 4).toUpperCase()
      input = input.slice(end + mark.length)
      if (inData) {
        seen.messages++
        inData = false
        replies += '250 2.0.0 taken\r\n'
      } else if (verb === 'DATA') {
        inData = true
        replies += '354 go on\r\n'
      } else if (verb === 'QUIT') {
        socket.end(`${replies}221 bye\r\n`)
        return
      } else replies += verb === 'EHLO' ? EHLO : '250 2.0.0 ok\r\n'
    }
    if (replies === '') return
    seen.turns++
    socket.write(replies)
  }
}
