// An SMTP server in a thread of its own, so that a test may block the client's thread. It reads in small steps with pauses
// of a random length, so that its window is often closed; and it takes every message, then answers at once or closes.
import { createServer } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'

/** @type {{ seed: number, closes: number }} `closes`: the share of messages after which it closes without a reply */
const { seed, closes } = workerData

let state = seed
/** Lehmer's generator: the test prints the seed, so that a failure can be repeated. */
const random = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647

const END = Buffer.from('\r\n.\r\n')

const server = createServer((socket) => {
  socket.setNoDelay(true)
  socket.on('error', () => undefined)
  socket.write('220 slow\r\n')
  let input = Buffer.alloc(0)
  let inData = false
  const read = () => {
    for (;;) {
      const end = input.indexOf(inData ? END : '\r\n')
      if (end < 0) return
      const text = input.subarray(0, end)
      input = input.subarray(end + (inData ? END.length : 2))
      if (inData) {
        inData = false
        parentPort.postMessage({
          taken: Number(/^X-Number: (\d+)/m.exec(text.toString('latin1', 0, 200))[1]),
        })
        if (random() < closes) return void socket.resetAndDestroy()
        socket.write('250 taken\r\n')
        continue
      }
      const verb = text.toString('latin1', 0, 4)
      if (verb === 'EHLO') socket.write('250-slow\r\n250 PIPELINING\r\n')
      else if (verb === 'DATA') {
        inData = true
        socket.write('354 go on\r\n')
      } else socket.write('250 ok\r\n')
    }
  }
  socket.on('data', (chunk) => {
    input = Buffer.concat([input, chunk])
    read()
    if (random() < 0.1) {
      socket.pause()
      setTimeout(() => socket.resume(), random() * 3)
    }
  })
})
server.listen(0, '127.0.0.1', () => parentPort.postMessage({ port: server.address().port }))
