// A pipelining SMTP server in a process of its own, which notes when each message began and when its final dot came.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'

const SELF = fileURLToPath(import.meta.url)
if (process.argv[1] === SELF && process.send) serve(Number(process.argv[2]))

/**
 * Starts the server; it answers each message so many milliseconds after the final dot. `stop()` ends it and returns the
 * times of all MAIL commands and of all final dots, in milliseconds and in order.
 */
export async function startCountingServer(latency) {
  const child = fork(SELF, [String(latency)])
  const [{ port }] = await once(child, 'message')
  return {
    port,
    async stop() {
      child.send('stop')
      const [times] = await once(child, 'message')
      return times
    },
  }
}

/** The most in any window of a second. */
export function fullestSecond(times) {
  let most = 0
  for (let from = 0, to = 0; from < times.length; from++) {
    while (to < times.length && times[to] < times[from] + 1_000) to++
    most = Math.max(most, to - from)
  }
  return most
}

function serve(latency) {
  const mails = []
  const dots = []
  const server = createServer((socket) => {
    socket.setNoDelay(true)
    socket.write('220 counts\r\n')
    let input = ''
    let inBody = false
    let waits = false
    const read = () => {
      while (!waits) {
        const mark = inBody ? '\r\n.\r\n' : '\r\n'
        const end = input.indexOf(mark)
        if (end < 0) return
        const line = input.slice(0, end)
        input = input.slice(end + mark.length)
        if (inBody) {
          inBody = false
          waits = true
          dots.push(performance.now())
          setTimeout(() => {
            waits = false
            socket.write('250 2.0.0 taken\r\n')
            read()
          }, latency)
        } else if (line.startsWith('EHLO')) socket.write('250-counts\r\n250 PIPELINING\r\n')
        else {
          if (line.startsWith('MAIL')) mails.push(performance.now())
          inBody = line.startsWith('DATA')
          socket.write(inBody ? '354 go on\r\n' : '250 2.0.0 ok\r\n')
        }
      }
    }
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      input += chunk.toString('latin1')
      read()
    })
  })
  server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
  process.on('message', () => {
    server.close()
    // A long message is not sent at once.
    process.send({ mails, dots }, () => process.disconnect())
  })
}
