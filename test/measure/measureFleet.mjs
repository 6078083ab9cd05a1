// The cost of a fleet and how it scales, on Redis and on Postgres (Linux only):
//   npm run build && node test/measure/measureFleet.mjs [--queues redis,postgres] [--messages 5000] [--workers 1,2,4]
// 1. What a message (W1) costs from send() until it is sent, with one worker: commands, bytes, and CPU of the server.
// 2. Messages per second of workers whose SMTP server answers after 50 ms. They wait more than they work, so one machine is enough.
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { writeW1 } from '../../dist/src/bench/workload.js'
import { createMailer } from '../../dist/src/index.js'
import { cpuOf, startPostgres, startRedis } from './servers.mjs'

const { values } = parseArgs({
  options: {
    queues: { type: 'string', default: 'redis,postgres' },
    messages: { type: 'string', default: '5000' },
    workers: { type: 'string', default: '1,2,4' },
  },
})
const COUNT = Number(values.messages)
/** Milliseconds after which the SMTP server answers. */
const LATENCY = 50
/** Connections of each worker. */
const CONNECTIONS = 2
/** Seconds that the fleet is measured for, about. */
const SECONDS = 6
const SERVERS = { redis: startRedis, postgres: startPostgres }
const bench = path.resolve(import.meta.dirname, '../../dist/src/bench')
const folder = await mkdtemp(path.join(tmpdir(), 'threadpost-fleet-'))
const closing = [() => rm(folder, { recursive: true, force: true })]
const { template, data } = await writeW1(folder)

/** Starts a server of the benchmark, which prints its port. */
async function startServer(file, ...args) {
  const child = spawn(process.execPath, [path.join(bench, file), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  closing.push(() => child.kill())
  const [line] = await once(child.stdout.setEncoding('utf8'), 'data')
  return Number(line)
}

/** Passes connections on, and counts their bytes. */
async function startCounter(target) {
  let bytes = 0
  const server = net.createServer((client) => {
    const upstream = net.connect(target, '127.0.0.1')
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ]) {
      from.on('data', (chunk) => (bytes += chunk.length))
      from.on('error', () => to.destroy())
      from.pipe(to)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.push(() => server.close())
  return { port: server.address().port, bytes: () => bytes }
}

function startWorkers(count, queue, transport) {
  const options = {
    role: 'deliver',
    queue,
    templates: folder,
    retain: { count: 100_000 },
    transport: { url: `smtp://127.0.0.1:${transport}`, connections: CONNECTIONS },
  }
  return Promise.all(
    Array.from({ length: count }, async () => {
      const child = fork(path.resolve(import.meta.dirname, '../support/fleetWorker.mjs'), [
        JSON.stringify(options),
      ])
      closing.push(() => child.kill('SIGKILL'))
      await once(child, 'message')
      return child
    }),
  )
}

async function end(workers) {
  for (const worker of workers) {
    worker.kill('SIGTERM')
    await once(worker, 'exit')
  }
}

function openSender(queue) {
  return createMailer({
    role: 'send',
    from: 'Acme <hello@acme.example>',
    queue,
    templates: folder,
    limits: { queue: 1_000_000 },
    retain: { count: 100_000 },
  })
}

async function send(mailer, count) {
  for (let sent = 0; sent < count; sent += 50)
    await Promise.all(
      Array.from({ length: Math.min(50, count - sent) }, (_, n) =>
        mailer.send({ to: `user${sent + n}@example.com`, template, data }),
      ),
    )
}

async function untilSent(mailer, count) {
  while ((await mailer.stats()).sent < count) await sleep(50)
}

/** Sends and delivers messages with one worker, and returns what each of them cost. */
async function costOf(server, queue, sink) {
  const mailer = await openSender(queue)
  const [worker] = await startWorkers(1, queue, sink)
  await send(mailer, 500)
  await untilSent(mailer, 500)
  await mailer.pause()
  const before = await server.usage()
  const own = process.cpuUsage()
  await send(mailer, COUNT)
  const { user, system } = process.cpuUsage(own)
  const accepted = await server.usage()
  const workerBefore = cpuOf(worker.pid)
  await mailer.resume()
  await untilSent(mailer, 500 + COUNT)
  const after = await server.usage()
  const cost = {
    commands: Number(((after.commands - before.commands) / COUNT).toFixed(2)),
    'log, bytes': Math.round((after.log - before.log) / COUNT),
    'server CPU to accept, µs': Math.round((accepted.cpu - before.cpu) / COUNT),
    'to deliver, µs': Math.round((after.cpu - accepted.cpu) / COUNT),
    'CPU of send(), µs': Math.round((user + system) / COUNT),
    'CPU of the worker, µs': Math.round((cpuOf(worker.pid) - workerBefore) / COUNT),
  }
  await mailer.close()
  await end([worker])
  return cost
}

/** Messages per second of some workers whose SMTP server is slow. */
async function rateOf(queue, workers, slow) {
  const mailer = await openSender(queue)
  const perSecond = (workers * CONNECTIONS * 1_000) / LATENCY
  const fleet = await startWorkers(workers, queue, slow)
  // So that each has rendered, connected, and found its window.
  const warmUp = Math.round(2 * perSecond)
  await send(mailer, warmUp)
  await untilSent(mailer, warmUp)
  await mailer.pause()
  const count = Math.round(SECONDS * perSecond)
  await send(mailer, count)
  const start = performance.now()
  await mailer.resume()
  await untilSent(mailer, warmUp + count)
  const seconds = (performance.now() - start) / 1_000
  await mailer.close()
  await end(fleet)
  return count / seconds
}

try {
  const sink = await startServer('sink.js')
  const slow = await startServer('latencyProxy.js', '127.0.0.1', `${sink}`, `${LATENCY}`)
  const costs = {}
  const rates = {}
  for (const name of values.queues.split(',')) {
    const server = await SERVERS[name]()
    closing.push(() => server.close())
    const at = (port, place) => ({
      url: server.url.replace(`:${server.port}`, `:${port}`),
      ...(name === 'redis' ? { prefix: place } : { schema: place }),
    })
    costs[name] = await costOf(server, at(server.port, 'cost'), sink)
    // Apart from that: what counts the bytes costs CPU.
    const counter = await startCounter(server.port)
    await costOf(server, at(counter.port, 'bytes'), sink)
    costs[name].bytes = Math.round(counter.bytes() / (500 + COUNT))
    console.log(name, costs[name])
    rates[name] = {}
    let one
    for (const count of values.workers.split(',').map(Number)) {
      const rate = await rateOf(at(server.port, `workers_${count}`), count, slow)
      one ??= rate
      console.log(`${name}, ${count} workers: ${rate.toFixed(1)} messages/s`)
      rates[name][`${count} workers`] = `${rate.toFixed(0)}/s (${(rate / one).toFixed(2)} times)`
    }
  }
  console.log('What a message costs')
  console.table(costs)
  console.log(`Messages per second, answers after ${LATENCY} ms, ${CONNECTIONS} connections per worker`)
  console.table(rates)
} finally {
  for (const close of closing.reverse()) await close()
}
