// Messages per second over a line with latency, to a server with CHUNKING and to the same server without it:
//   node test/measure/measureLatency.mjs [milliseconds of latency] [messages]
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import path from 'node:path'
import { createMailer } from '../../dist/src/index.js'

const [latency = '50', count = '4000'] = process.argv.slice(2)
const delay = path.resolve(import.meta.dirname, '../../dist/src/bench/latencyProxy.js')

/** Accepts everything, with DATA and BDAT, and keeps nothing. */
function sink(chunking) {
  const extensions = ['sink', 'PIPELINING', '8BITMIME', ...(chunking ? ['CHUNKING'] : [])]
  const ehlo = extensions
    .map((line, index) => `250${index < extensions.length - 1 ? '-' : ' '}${line}\r\n`)
    .join('')
  return createServer({ noDelay: true }, (socket) => {
    let input = ''
    let inData = false
    const read = (chunk) => {
      input += chunk.toString('latin1')
      let replies = ''
      for (;;) {
        const end = input.indexOf(inData ? '\r\n.\r\n' : '\r\n')
        if (end < 0) break
        const line = input.slice(0, end)
        const size = /^BDAT (\d+)/.exec(line)?.[1]
        if (!inData && size !== undefined && input.length < end + 2 + Number(size)) break
        input = input.slice(end + (inData ? 5 : 2) + Number((!inData && size) || 0))
        if (inData) inData = false
        else if (line.startsWith('DATA')) inData = true
        if (line.startsWith('EHLO')) replies += ehlo
        else replies += inData ? '354 go on\r\n' : '250 2.0.0 ok\r\n'
      }
      if (replies !== '') socket.write(replies)
    }
    socket.on('data', read).on('error', () => undefined)
    socket.write('220 sink\r\n')
  })
}

async function measure(chunking) {
  const server = sink(chunking).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const line = spawn(process.execPath, [delay, '127.0.0.1', String(server.address().port), latency])
  const [port] = await once(line.stdout, 'data')
  const mailer = await createMailer({
    transport: { url: `smtp://127.0.0.1:${Number(port)}`, connections: 10 },
    from: 'a@acme.example',
  })
  const send = (number) =>
    mailer.sendMany(
      Array.from({ length: number }, (_, i) => ({ to: 'ada@example.com', subject: `${i}`, text: 'Hello' })),
    )
  const sent = async (number) => {
    const receipts = await send(number)
    await Promise.all(receipts.map(({ id }) => mailer.wait(id)))
  }
  await sent(500)
  const start = performance.now()
  await sent(Number(count))
  const rate = (Number(count) * 1_000) / (performance.now() - start)
  await mailer.close()
  line.stdin.end()
  await once(line, 'exit')
  server.close()
  return rate
}

for (const chunking of [false, true, false, true])
  console.log(
    `${chunking ? 'with CHUNKING   ' : 'without CHUNKING'} ${(await measure(chunking)).toFixed(0)} messages/s`,
  )
