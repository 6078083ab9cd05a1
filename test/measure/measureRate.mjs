// How well a rate is kept, and how well it is used: node test/measure/measureRate.mjs (after a build). Mail goes to a server
// in a process of its own, which counts: in all, and in the fullest second, by envelopes and by final dots.
// --rate 50 --seconds 10 --threads 2 --latency 0,5,50 (ms until the server answers a message) --queue memory,sqlite
// --load 0 (processes that keep the machine busy meanwhile)
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const SELF = fileURLToPath(import.meta.url)
const number = (text) => text.split(',').map(Number)
const roles = { server: serve, busy: () => setInterval(() => spin(50), 50), undefined: measure }
await roles[process.argv[2]?.startsWith('--') ? undefined : process.argv[2]]()

function spin(ms) {
  const end = performance.now() + ms
  while (performance.now() < end);
}

/** A pipelining server that answers each message so many ms after its final dot. */
function serve() {
  const latency = Number(process.argv[3])
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
    process.send({ mails, dots })
    process.disconnect()
    server.close()
  })
}

/** The most in any window of a second, of times in order. */
function fullest(times) {
  let most = 0
  for (let from = 0, to = 0; from < times.length; from++) {
    while (to < times.length && times[to] < times[from] + 1_000) to++
    most = Math.max(most, to - from)
  }
  return most
}

async function measure() {
  const { values } = parseArgs({
    options: {
      rate: { type: 'string', default: '50' },
      seconds: { type: 'string', default: '10' },
      threads: { type: 'string', default: '2' },
      latency: { type: 'string', default: '0,5,50' },
      queue: { type: 'string', default: 'memory,sqlite' },
      load: { type: 'string', default: '0' },
    },
  })
  const [rate, seconds, threads, load] = ['rate', 'seconds', 'threads', 'load'].map((name) =>
    Number(values[name]),
  )
  const busy = Array.from({ length: load }, () => fork(SELF, ['busy']))
  const rows = []
  try {
    for (const queue of values.queue.split(','))
      for (const latency of number(values.latency))
        rows.push(await run({ rate, seconds, threads, latency, queue }))
  } finally {
    for (const child of busy) child.kill()
  }
  console.table(rows)
}

async function run({ rate, seconds, threads, latency, queue }) {
  const { createMailer } = await import('threadpost')
  const server = fork(SELF, ['server', String(latency)])
  const [{ port }] = await once(server, 'message')
  const folder = await mkdtemp(path.join(tmpdir(), 'threadpost-rate-'))
  const mailer = await createMailer({
    transport: { url: `smtp://127.0.0.1:${port}`, rate },
    from: 'shop@example.com',
    queue: queue === 'sqlite' ? `sqlite:${path.join(folder, 'outbox.db')}` : queue,
    threads,
  })
  const mail = { to: 'ada@example.com', subject: 'Hello', text: 'Hello, Ada' }
  await mailer.sendMany(Array.from({ length: 2 * rate * seconds }, () => mail))
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000 + 1_000))
  server.send('tell')
  const [{ mails, dots }] = await once(server, 'message')
  await mailer.close({ deadline: 100 })
  await rm(folder, { recursive: true })
  const within = dots.filter((time) => time < dots[0] + seconds * 1_000).length
  return {
    queue,
    threads,
    'latency ms': latency,
    [`in ${seconds} s`]: within,
    'fullest second: dots': fullest(dots),
    envelopes: fullest(mails),
  }
}
