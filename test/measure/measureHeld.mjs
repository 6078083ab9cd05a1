// The cost of many messages for a host that is down, for the web process: node test/measure/measureHeld.mjs [MESSAGES] (after a build).
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { createMailer } from 'threadpost'

const MESSAGES = Number(process.argv[2] ?? 10_000)
const SECONDS = 10
const RESOLUTION = 5

const folder = await mkdtemp(path.join(tmpdir(), 'threadpost-held-'))
const rows = []
for (const queue of ['memory', `sqlite:${path.join(folder, 'outbox.db')}`]) {
  const mailer = await createMailer({
    transport: `smtp://127.0.0.1:${await deadPort()}`,
    from: 'shop@example.com',
    queue,
    breaker: { probeDelay: 100, maxProbeDelay: 1_000 },
  })
  const loop = monitorEventLoopDelay({ resolution: RESOLUTION })
  loop.enable()
  for (let n = 0; n < MESSAGES; n += 20) {
    const mails = Array.from({ length: 20 }, () => ({ to: 'ada@example.com', subject: 's', text: 't' }))
    await mailer.sendMany(mails)
  }
  const taken = { p99: late(loop.percentile(99)), max: late(loop.max) }
  loop.reset()
  await sleep(SECONDS * 1_000)
  rows.push({
    queue: queue.split(':')[0],
    held: (await mailer.stats()).held,
    'taken in: p99 ms': taken.p99,
    'max ms': taken.max,
    'waiting: p99 ms': late(loop.percentile(99)),
    ' max ms': late(loop.max),
  })
  loop.disable()
  await mailer.close({ deadline: 0 })
}
await rm(folder, { recursive: true })
console.table(rows)

/** Nobody listens there. */
async function deadPort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/** Milliseconds by which the event loop was late. */
function late(nanoseconds) {
  return Number(Math.max(0, nanoseconds / 1e6 - RESOLUTION).toFixed(1))
}
