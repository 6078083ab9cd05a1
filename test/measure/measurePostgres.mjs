// Measures the Postgres queue: node test/measure/measurePostgres.mjs [WAITING] (after a build). Durable receipts per second with
// 64 callers; the time from a commit to the handover; messages per second; and what a claim costs with WAITING messages in line.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import pg from 'pg'
import { createMailer } from 'threadpost'
import { startInbox } from 'threadpost/testing'
import { tools } from '../support/prerequisites.mjs'

const waiting = Number(process.argv[2] ?? 100_000)
const NOBODY = 65534
const mail = { to: 'ada@example.com', subject: 'Hello', text: 'Hello, Ada' }
const folder = await mkdtemp(path.join(tmpdir(), 'threadpost-postgres-'))
if (process.getuid() === 0) await chown(folder, NOBODY, NOBODY)
const { postgres } = (await tools()).tools
const user = process.getuid() === 0 ? { uid: NOBODY, gid: NOBODY } : {}
const bin = postgres.command.replace(/postgres$/, '')
const options = {
  ...user,
  cwd: folder,
  env: { ...process.env, ...postgres.env, LC_ALL: 'C' },
  stdio: 'ignore',
}
const data = path.join(folder, 'data')
await once(
  spawn(`${bin}initdb`, ['-D', data, '-U', 'postgres', '-A', 'trust', '--no-locale', '-E', 'UTF8'], options),
  'exit',
)
const port = 20_000 + (process.pid % 20_000)
const flags = ['-D', data, '-p', String(port), '-k', folder, '-c', 'listen_addresses=127.0.0.1']
const server = spawn(postgres.command, [...flags, '-c', 'shared_buffers=256MB'], options)
const url = `postgres://postgres@127.0.0.1:${port}/postgres`
const rows = []

async function callers(count, messages, work) {
  let left = messages
  const call = async () => {
    while (left-- > 0) await work()
  }
  const start = performance.now()
  await Promise.all(Array.from({ length: count }, call))
  return Math.round(messages / ((performance.now() - start) / 1000))
}

try {
  const inbox = await startInbox({ keep: 10 })
  const common = { from: 'shop@example.com', limits: { queue: 10_000_000 }, retain: { count: 1_000_000 } }
  const sender = await createMailer({ ...common, role: 'send', queue: url })
  rows.push({ what: 'receipts/s, 1 caller', value: await callers(1, 500, () => sender.send(mail)) })
  rows.push({ what: 'receipts/s, 64 callers', value: await callers(64, 20_000, () => sender.send(mail)) })
  const client = new pg.Client(url)
  await client.connect()
  const claims = async (claimed) => {
    await client.query('ANALYZE threadpost.states')
    const start = performance.now()
    for (let nth = 0; nth < 20; nth++)
      await client.query(
        'SELECT seq FROM threadpost.states WHERE ready ORDER BY rank, seq LIMIT 50 FOR UPDATE SKIP LOCKED',
      )
    rows.push({
      what: `ms to find 50 of ${claimed} waiting`,
      value: Number(((performance.now() - start) / 20).toFixed(2)),
    })
  }
  await claims(20_500)
  const start = performance.now()
  const mailer = await createMailer({ ...common, queue: url, transport: inbox.url })
  while ((await mailer.stats()).sent < 20_500) await new Promise((resolve) => setTimeout(resolve, 20))
  rows.push({
    what: 'messages/s, 1 thread, embedded inbox',
    value: Math.round(20_500 / ((performance.now() - start) / 1000)),
  })
  const delays = []
  for (let nth = 0; nth < 100; nth++) {
    await client.query('BEGIN')
    const { id } = await mailer.send(mail, { tx: client })
    const sending = new Promise((resolve) => {
      const note = (event) => {
        if (event.id !== id) return
        mailer.off('sent', note)
        resolve(performance.now())
      }
      mailer.on('sent', note)
    })
    await client.query('COMMIT')
    const committed = performance.now()
    delays.push((await sending) - committed)
  }
  delays.sort((a, b) => a - b)
  rows.push({ what: 'ms from commit to sent, median', value: Number(delays[50].toFixed(2)) })
  await mailer.pause()
  for (let left = waiting; left > 0; left -= 5_000)
    await sender.sendMany(Array.from({ length: Math.min(5_000, left) }, () => mail))
  await claims(waiting)
  await client.end()
  await sender.close()
  await mailer.close({ deadline: 0 })
  await inbox.close()
} finally {
  server.kill('SIGINT')
  await once(server, 'exit')
  await rm(folder, { recursive: true })
}
console.table(rows)
