// Measures one mailer with the transports of many tenants, a tenth of whose servers is dead, silent, slow, or refuses the password:
// whether they delay the others' mail, and its memory and sockets.
//
//     node test/measure/measureTenants.mjs [--tenants 1000] [--rate 100] [--seconds 60] [--concurrency 10] [--queue memory]
//
// (after a build). The servers run in a process of their own, and so does the mailer of each row: the healthy tenants alone, then all.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readlinkSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'

const SERVERS = 200
/** Part of every password, which no output may contain. */
const CANARY = 'canary-81f3c'
const TICK = 50
/** Milliseconds whose messages are not counted: the process has just started. */
const WARM_UP = 5_000

const { values } = parseArgs({
  options: {
    tenants: { type: 'string', default: '1000' },
    rate: { type: 'string', default: '100' },
    seconds: { type: 'string', default: '60' },
    concurrency: { type: 'string', default: '10' },
    queue: { type: 'string', default: 'memory' },
  },
})
const settings = {
  tenants: Number(values.tenants),
  rate: Number(values.rate),
  seconds: Number(values.seconds),
  concurrency: Number(values.concurrency),
  queue: values.queue,
}

if (process.send === undefined) await compare()
else
  process.once('message', (work) => void measure(work).then((row) => process.send(row, () => process.exit())))

async function compare() {
  const servers = fork(path.join(import.meta.dirname, 'tenantServers.mjs'), [String(SERVERS)])
  const [list] = await once(servers, 'message')
  const rows = []
  for (const kinds of ['healthy', 'all']) {
    const child = fork(import.meta.filename, process.argv.slice(2))
    child.send({ list, kinds })
    rows.push((await once(child, 'message'))[0])
  }
  servers.kill()
  console.log(`${settings.tenants} tenants, ${settings.rate} messages/s for ${settings.seconds} s`)
  console.table(rows)
}

/** @param list the servers @param kinds 'healthy' for the tenants of healthy servers only, or 'all' */
async function measure({ list, kinds }) {
  const { createMailer } = await import('threadpost')
  const { tenants, rate, seconds, concurrency, queue } = settings
  const output = []
  const log = (...line) => void output.push(JSON.stringify(line))
  const mailer = await createMailer({
    from: 'shop@acme.example',
    queue,
    concurrency,
    logger: { debug: log, info: log, warn: log, error: log },
    resolveTransport: (name) => ({
      url: `smtp://127.0.0.1:${serverOf(name).port}`,
      auth: { user: name, pass: `${CANARY}-${name}` },
      allowPrivateHosts: true,
    }),
  })
  const serverOf = (name) => list[Number(name.slice(7)) % list.length]
  const names = Array.from({ length: tenants }, (_, index) => `tenant:${index}`).filter(
    (name) => kinds === 'all' || serverOf(name).kind === 'healthy',
  )
  const share = (rate * names.length) / tenants
  const accepted = new Map()
  const latencies = []
  mailer.on('sent', ({ id }) => {
    const began = accepted.get(id)
    if (began !== undefined) latencies.push(performance.now() - began)
  })
  for (const event of ['held', 'deferred', 'breaker-open', 'failed']) mailer.on(event, log)
  let [sockets, sent, healthy] = [0, 0, 0]
  const start = performance.now()
  for (let elapsed = 0; performance.now() - start < seconds * 1_000;) {
    const due = Math.floor(((performance.now() - start) / 1_000) * share) - sent
    const mails = Array.from({ length: due }, () => ({
      to: 'ada@example.com',
      subject: 'Hello',
      text: 'Hello Ada',
      transport: names[sent++ % names.length],
    }))
    const began = performance.now()
    const receipts = mails.length === 0 ? [] : await mailer.sendMany(mails)
    for (const [index, { id }] of receipts.entries()) {
      if (began - start < WARM_UP || serverOf(mails[index].transport).kind !== 'healthy') continue
      accepted.set(id, began)
      healthy++
    }
    if (performance.now() - start > elapsed * 1_000) {
      elapsed++
      sockets = Math.max(sockets, openSockets())
    }
    await sleep(TICK)
  }
  const deadline = performance.now() + 30_000
  while (latencies.length < healthy && performance.now() < deadline) await sleep(100)
  log(await mailer.stats(), await mailer.list({ status: 'held' }))
  const row = {
    tenants: kinds,
    'healthy: messages': healthy,
    sent: latencies.length,
    'p50 ms': quantile(latencies, 0.5),
    'p99 ms': quantile(latencies, 0.99),
    'max ms': quantile(latencies, 1),
    sockets,
    'CPU s': Math.round((process.cpuUsage().user + process.cpuUsage().system) / 1e6),
    MB: Math.round(process.resourceUsage().maxRSS / 1_024),
    'credentials in output': output.filter((line) => line.includes(CANARY)).length,
  }
  await mailer.close({ deadline: 0 })
  return row
}

function openSockets() {
  return readdirSync('/proc/self/fd').filter((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`).startsWith('socket:')
    } catch {
      return false
    }
  }).length
}

function quantile(values, share) {
  const sorted = values.toSorted((a, b) => a - b)
  return Number((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN).toFixed(1))
}
