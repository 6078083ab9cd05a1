// How well a rate is kept, and how well it is used: node test/measure/measureRate.mjs (after a build). Mail goes to a server
// in a process of its own, which counts: in all, and in the fullest second, by envelopes and by final dots.
// --rate 50 --seconds 10 --threads 2 --latency 0,5,50 (ms until the server answers a message) --queue memory,sqlite
// --load 0 (processes that keep the machine busy meanwhile)
import { fork } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { fullestSecond, startCountingServer } from './countingServer.mjs'

const SELF = fileURLToPath(import.meta.url)
const number = (text) => text.split(',').map(Number)
const roles = { busy: () => setInterval(() => spin(50), 50), undefined: measure }
await roles[process.argv[2]?.startsWith('--') ? undefined : process.argv[2]]()

function spin(ms) {
  const end = performance.now() + ms
  while (performance.now() < end);
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
  const server = await startCountingServer(latency)
  const folder = await mkdtemp(path.join(tmpdir(), 'threadpost-rate-'))
  const mailer = await createMailer({
    transport: { url: `smtp://127.0.0.1:${server.port}`, rate },
    from: 'shop@example.com',
    queue: queue === 'sqlite' ? `sqlite:${path.join(folder, 'outbox.db')}` : queue,
    threads,
  })
  const mail = { to: 'ada@example.com', subject: 'Hello', text: 'Hello, Ada' }
  await mailer.sendMany(Array.from({ length: 2 * rate * seconds }, () => mail))
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000 + 1_000))
  const { mails, dots } = await server.stop()
  await mailer.close({ deadline: 100 })
  await rm(folder, { recursive: true })
  const within = dots.filter((time) => time < dots[0] + seconds * 1_000).length
  return {
    queue,
    threads,
    'latency ms': latency,
    [`in ${seconds} s`]: within,
    'fullest second: dots': fullestSecond(dots),
    envelopes: fullestSecond(mails),
  }
}
