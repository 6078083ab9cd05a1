/**
 * An SMTP server that discards every message. It implements SMTP with PIPELINING (RFC 2920), accepts every login, and has
 * nothing else, so that it is never the bottleneck. It prints its port, answers each line on its standard input with the number of messages
 * and bytes received so far, as JSON, and exits when its standard input closes.
 */
import { createServer, type Socket } from 'node:net'

const CRLF = Buffer.from('\r\n')
const END_OF_DATA = Buffer.from('\r\n.\r\n')
const EHLO =
  '250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-AUTH PLAIN\r\n250 ENHANCEDSTATUSCODES\r\n'

/** Replies to some verbs; the others get a plain 250. The sink accepts every login. */
const REPLIES: Record<string, string> = { EHLO, AUTH: '235 2.7.0 ok\r\n' }

const sockets = new Set<Socket>()
const received = { messages: 0, bytes: 0 }
const server = createServer({ noDelay: true }, serve)
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address !== null && typeof address === 'object') process.stdout.write(`${address.port}\n`)
})
process.stdin.on('data', () => process.stdout.write(`${JSON.stringify(received)}\n`))
process.stdin.on('end', () => {
  server.close()
  for (const socket of sockets) socket.destroy()
})

function serve(socket: Socket): void {
  sockets.add(socket)
  socket.on('close', () => sockets.delete(socket))
  let rest: Buffer = Buffer.alloc(0)
  let inData = false
  let inMessage = 0
  socket.write('220 sink ESMTP\r\n')
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let replies = ''
    for (;;) {
      const end = rest.indexOf(inData ? END_OF_DATA : CRLF)
      if (end < 0) {
        if (inData && rest.length > END_OF_DATA.length) {
          // Only the last bytes can be the start of the end-of-data sequence.
          inMessage += rest.length - END_OF_DATA.length
          rest = rest.subarray(-END_OF_DATA.length)
        }
        break
      }
      if (inData) {
        // In an empty message, the CRLF before the dot is the one that ended the DATA command.
        rest = rest.subarray(end + END_OF_DATA.length)
        received.messages++
        received.bytes += inMessage + end
        inMessage = 0
        inData = false
        replies += '250 2.0.0 accepted\r\n'
        continue
      }
      const verb = rest.toString('latin1', 0, Math.min(end, 4)).toUpperCase()
      if (verb === 'DATA') {
        inData = true
        // Keeps the CRLF of the command: an empty message ends with the very next line.
        rest = rest.subarray(end)
        replies += '354 go on\r\n'
        continue
      }
      rest = rest.subarray(end + CRLF.length)
      if (verb === 'QUIT') {
        socket.end(`${replies}221 bye\r\n`)
        return
      }
      replies += REPLIES[verb] ?? '250 2.0.0 ok\r\n'
    }
    if (replies !== '') socket.write(replies)
  })
}
