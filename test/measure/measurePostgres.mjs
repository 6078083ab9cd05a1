// Measures the Postgres queue: node test/measure/measurePostgres.mjs [--messages 20000] [--waiting 1000000] (after a build).
// Durable receipts per second with 1 and 64 callers; messages per second (W1) in one process; the time from a commit to the end
// of the delivery; and what a claim costs with few and with WAITING messages waiting, and after as many were settled.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { createMailer } from 'threadpost'
import { writeW1 } from '../../dist/src/bench/workload.js'
import { startPostgres } from './servers.mjs'

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '20000' },
    waiting: { type: 'string', default: '1000000' },
    only: { type: 'string', default: 'receipts,w1,commit,claims' },
  },
})
const messages = Number(values.messages)
const waiting = Number(values.waiting)
const sections = values.only.split(',')
const mail = { to: 'ada@example.com', subject: 'Hello', text: 'Hello, Ada' }
const folder = await mkdtemp(path.join(tmpdir(), 'threadpost-measure-'))
const { template, data } = await writeW1(folder)
const server = await startPostgres()
const sink = spawn(process.execPath, [path.resolve(import.meta.dirname, '../../dist/src/bench/sink.js')], {
  stdio: ['pipe', 'pipe', 'inherit'],
})
const [sinkPort] = await once(sink.stdout.setEncoding('utf8'), 'data')
const transport = { url: `smtp://127.0.0.1:${sinkPort.trim()}`, connections: 10 }
const common = { from: 'shop@example.com', limits: { queue: 10_000_000 }, retain: { count: 2_000_000 } }
const rows = []

/** Runs work, and says what a message cost: CPU of this process and of Postgres in µs, statements, and bytes of the log. */
async function measured(what, count, work) {
  const before = await server.usage()
  const own = process.cpuUsage()
  const start = performance.now()
  await work()
  const seconds = (performance.now() - start) / 1_000
  const { user, system } = process.cpuUsage(own)
  const after = await server.usage()
  rows.push({
    what,
    'per second': Math.round(count / seconds),
    'own CPU, µs': Math.round((user + system) / count),
    "Postgres' CPU, µs": Math.round((after.cpu - before.cpu) / count),
    statements: Number(((after.commands - before.commands) / count).toFixed(2)),
    'log, bytes': Math.round((after.log - before.log) / count),
  })
  console.log(JSON.stringify(rows.at(-1)))
}

/** A number of callers, each of which waits for one call before the next. */
async function callers(count, calls, call) {
  let left = calls
  const one = async () => {
    while (left-- > 0) await call()
  }
  await Promise.all(Array.from({ length: count }, one))
}

async function untilSent(mailer, count) {
  while ((await mailer.stats()).sent < count) await new Promise((resolve) => setTimeout(resolve, 50))
}

/** The claims of a process that delivers `count` messages: each message's share of their time, and of the pages they read. */
async function claims(what, count) {
  const of = async () => {
    const [row] = await server.query(`SELECT sum(calls)::float AS calls, sum(total_exec_time) AS ms,
      sum(shared_blks_hit + shared_blks_read)::float AS pages FROM pg_stat_statements WHERE toplevel AND query LIKE '%claim_turns(%'`)
    return { calls: row.calls ?? 0, ms: row.ms ?? 0, pages: row.pages ?? 0 }
  }
  const mailer = await createMailer({ ...common, role: 'deliver', queue: server.url, transport })
  const sent = (await mailer.stats()).sent
  const before = await of()
  await mailer.resume()
  await measured(what, count, () => untilSent(mailer, sent + count))
  await mailer.pause()
  const after = await of()
  const claimed = (await mailer.stats()).sent - sent
  Object.assign(rows.at(-1), {
    claims: Number(((after.calls - before.calls) / claimed).toFixed(3)),
    'claim, µs': Number((((after.ms - before.ms) * 1_000) / claimed).toFixed(1)),
    'claim, pages': Number(((after.pages - before.pages) / claimed).toFixed(1)),
  })
  console.log(JSON.stringify(rows.at(-1)))
  await mailer.close()
}

async function fill(sender, count) {
  for (let left = count; left > 0; left -= 1_000)
    await sender.sendMany(Array.from({ length: Math.min(1_000, left) }, () => mail))
}

try {
  const sender = await createMailer({ ...common, role: 'send', queue: server.url, templates: folder })
  const send = () => sender.send(mail)
  if (sections.includes('receipts')) {
    await callers(64, 2_000, send)
    await measured('receipts, 1 caller', messages / 20, () => callers(1, messages / 20, send))
    await measured('receipts, 64 callers', messages, () => callers(64, messages, send))
  }
  if (sections.includes('w1')) {
    await server.query('DROP SCHEMA threadpost CASCADE')
    const mailer = await createMailer({ ...common, queue: server.url, templates: folder, transport })
    const receipt = () => mailer.send({ to: 'ada@example.com', template, data })
    const both = async (count) => {
      const { sent } = await mailer.stats()
      await callers(64, count, receipt)
      await untilSent(mailer, sent + count)
    }
    await both(2_000)
    await measured('W1, one process', messages, () => both(messages))
    await mailer.close()
  }
  if (sections.includes('commit')) {
    const mailer = await createMailer({ ...common, queue: server.url, transport })
    const client = new pg.Client(server.url)
    await client.connect()
    const delays = []
    for (let nth = 0; nth < 200; nth++) {
      await client.query('BEGIN')
      const { id } = await mailer.send(mail, { tx: client })
      const sent = new Promise((resolve) => {
        const note = (event) => {
          if (event.id !== id) return
          mailer.off('sent', note)
          resolve(performance.now())
        }
        mailer.on('sent', note)
      })
      await client.query('COMMIT')
      const committed = performance.now()
      delays.push((await sent) - committed)
    }
    delays.sort((a, b) => a - b)
    console.log(
      `from the commit to sent: ${delays[100].toFixed(2)} ms (median), ${delays[180].toFixed(2)} ms (p90)`,
    )
    await client.end()
    await mailer.close()
  }
  if (sections.includes('claims')) {
    await server.query('DROP SCHEMA threadpost CASCADE')
    await (await createMailer({ ...common, role: 'send', queue: server.url })).close()
    await sender.pause()
    await fill(sender, 20_000)
    await claims('claims of 20,000', 10_000)
    await fill(sender, waiting - 10_000)
    await claims(`claims of ${waiting}`, 10_000)
    await claims('all the others', waiting - 12_000)
    await fill(sender, 20_000)
    await claims('claims after that', 10_000)
  }
  await sender.close()
} finally {
  sink.kill()
  await server.close()
  await rm(folder, { recursive: true, force: true })
}
console.table(rows)
