// How a rate is kept when things go wrong, counted at the server in every window of a second:
//   npm run build && node test/measure/measureFleetRate.mjs [--queues sqlite,redis,postgres] [--minutes 10] [--rate 50] [--workers 5]
// Meanwhile the workers' event loops are blocked for up to 1.5 s, one after the other is killed and started again, and one after
// the other is stopped for three seconds (SIGSTOP). SQLite has one worker. There is always enough to send.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { createMailer } from 'threadpost'
import { fullestSecond, startCountingServer } from './countingServer.mjs'
import { startPostgres, startRedis } from './servers.mjs'

const SELF = fileURLToPath(import.meta.url)
/** Milliseconds between two faults of a kind, and how long they last. */
const BLOCKS = { every: 2_000, upTo: 1_500 }
const KILLS = { every: 20_000, upTo: 0 }
const STOPS = { every: 30_000, upTo: 3_000 }
const SERVERS = {
  sqlite: async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'threadpost-rate-'))
    return {
      url: `sqlite:${path.join(folder, 'outbox.db')}`,
      close: () => rm(folder, { recursive: true, force: true }),
    }
  },
  redis: startRedis,
  postgres: startPostgres,
}

if (process.send) await deliver(JSON.parse(process.argv[2]))
else await main()

/** A worker. Each message to it blocks its event loop for so many milliseconds. */
async function deliver(options) {
  const mailer = await createMailer(options)
  process.on('message', (duration) => {
    const end = performance.now() + duration
    while (performance.now() < end);
  })
  process.on('SIGTERM', () => void mailer.close().then(() => process.disconnect()))
  process.send('delivers')
}

async function main() {
  const { values } = parseArgs({
    options: {
      queues: { type: 'string', default: 'sqlite,redis,postgres' },
      minutes: { type: 'string', default: '10' },
      rate: { type: 'string', default: '50' },
      workers: { type: 'string', default: '5' },
    },
  })
  const [minutes, rate, workers] = ['minutes', 'rate', 'workers'].map((name) => Number(values[name]))
  const rows = []
  for (const queue of values.queues.split(','))
    rows.push(await run(queue, { rate, ms: minutes * 60_000, count: queue === 'sqlite' ? 1 : workers }))
  console.table(rows)
}

async function run(queue, { rate, ms, count }) {
  const place = await SERVERS[queue]()
  const server = await startCountingServer(5)
  const shared = { queue: { url: place.url }, from: 'shop@example.com', limits: { queue: 1_000_000 } }
  const options = { ...shared, transport: { url: `smtp://127.0.0.1:${server.port}`, rate } }
  await fill(shared, Math.ceil((rate * ms * 1.2) / 1_000), queue === 'sqlite' ? options : undefined)
  const start = () => startWorker({ ...options, ...(queue === 'sqlite' ? {} : { role: 'deliver' }) })
  const fleet = await Promise.all(Array.from({ length: count }, start))
  const end = performance.now() + ms
  const faults = { blocks: 0, kills: 0, stops: 0 }
  const pick = () => Math.floor(Math.random() * fleet.length)
  await Promise.all([
    repeat(BLOCKS, end, (duration) => {
      faults.blocks++
      fleet[pick()].send(duration, () => undefined)
    }),
    repeat(KILLS, end, async () => {
      faults.kills++
      const index = pick()
      const gone = once(fleet[index], 'exit')
      fleet[index].kill('SIGKILL')
      await gone
      fleet[index] = await start()
    }),
    repeat(STOPS, end, async (duration) => {
      faults.stops++
      const worker = fleet[pick()]
      worker.kill('SIGSTOP')
      await sleep(duration)
      worker.kill('SIGCONT')
    }),
  ])
  const { mails, dots } = await server.stop()
  for (const worker of fleet) worker.kill('SIGKILL')
  await place.close()
  const first = dots[0]
  const last = dots.at(-1)
  return {
    queue,
    workers: count,
    ...faults,
    'messages/s': Number(((dots.length / (last - first)) * 1_000).toFixed(1)),
    'fullest second: dots': fullestSecond(dots),
    envelopes: fullestSecond(mails),
    'emptiest 10 s': emptiest(dots, 10_000),
    'longest pause, ms': Math.round(Math.max(...dots.slice(1).map((time, index) => time - dots[index]))),
  }
}

/** Puts enough into the queue. With SQLite the only process does it, before it is started to deliver. */
async function fill(shared, messages, own) {
  const mailer = await createMailer(own ?? { ...shared, role: 'send' })
  if (own) await mailer.pause()
  const mail = { to: 'ada@example.com', subject: 'Hello', text: 'Hello, Ada' }
  for (let sent = 0; sent < messages; sent += 500)
    await mailer.sendMany(Array.from({ length: 500 }, () => mail))
  if (own) await mailer.resume()
  await mailer.close({ deadline: 0 })
}

async function startWorker(options) {
  const child = fork(SELF, [JSON.stringify(options)])
  await once(child, 'message')
  return child
}

async function repeat({ every, upTo }, end, fault) {
  await sleep(every)
  while (performance.now() < end) {
    await fault(Math.round(Math.random() * upTo))
    await sleep(every)
  }
}

/** The fewest in any window of so many milliseconds, as a rate per second. */
function emptiest(times, window) {
  let least = Infinity
  for (let from = 0, to = 0; times[from] + window <= times.at(-1); from++) {
    while (times[to] < times[from] + window) to++
    least = Math.min(least, to - from)
  }
  return Number(((least * 1_000) / window).toFixed(1))
}
