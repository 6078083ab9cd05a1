import { createServer } from 'node:net'

/** Starts an SMTP server on a free port that accepts everything and keeps nothing. */
export function emptySink() {
  return createServer((socket) => {
    let inData = false
    let tail = ''
    socket.on('error', () => undefined)
    socket.write('220 sink\r\n')
    socket.on('data', (chunk) => {
      if (inData) {
        tail = (tail + chunk.subarray(-5).toString('latin1')).slice(-5)
        if (tail !== '\r\n.\r\n') return
        inData = false
        socket.write('250 2.0.0 ok\r\n')
        return
      }
      for (const line of chunk.toString('latin1').split('\r\n').slice(0, -1)) {
        if (line === 'DATA') inData = true
        socket.write(
          line.startsWith('EHLO') ? '250-sink\r\n250 8BITMIME\r\n' : inData ? '354 go on\r\n' : '250 ok\r\n',
        )
      }
    })
  }).listen(0, '127.0.0.1')
}
