/**
 * A process that takes mail and throws it away: SMTP with PIPELINING (RFC 2920), nothing more, so that it is
 * never what is measured. Prints its port; answers each line on its standard input with what it has taken so far, as
 * JSON; ends when that closes.
 */
import { createServer, type Socket } from 'node:net'

const CRLF = Buffer.from('\r\n')
const END_OF_DATA = Buffer.from('\r\n.\r\n')
const EHLO = '250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 ENHANCEDSTATUSCODES\r\n'

const sockets = new Set<Socket>()
const taken = { messages: 0, bytes: 0 }
const server = createServer({ noDelay: true }, serve)
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address !== null && typeof address === 'object') process.stdout.write(`${address.port}\n`)
})
process.stdin.on('data', () => process.stdout.write(`${JSON.stringify(taken)}\n`))
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
          // Only its end can still be the beginning of the end of data.
          inMessage += rest.length - END_OF_DATA.length
          rest = rest.subarray(-END_OF_DATA.length)
        }
        break
      }
      if (inData) {
        // The CRLF before the dot may also be the one that ended DATA: an empty message.
        rest = rest.subarray(end + END_OF_DATA.length)
        taken.messages++
        taken.bytes += inMessage + end
        inMessage = 0
        inData = false
        replies += '250 2.0.0 taken\r\n'
        continue
      }
      const verb = rest.toString('latin1', 0, Math.min(end, 4)).toUpperCase()
      if (verb === 'DATA') {
        inData = true
        // Its own CRLF stays: an empty message ends with the very next line.
        rest = rest.subarray(end)
        replies += '354 go on\r\n'
        continue
      }
      rest = rest.subarray(end + CRLF.length)
      if (verb === 'QUIT') {
        socket.end(`${replies}221 bye\r\n`)
        return
      }
      replies += verb === 'EHLO' ? EHLO : '250 2.0.0 ok\r\n'
    }
    if (replies !== '') socket.write(replies)
  })
}
