// The cost of an open dashboard with 100,000 messages in the SQLite outbox while mail flows: node test/measure/measureDashboard.mjs
// (after a build). Each request is one that the pages make. The browser's part and the SMTP server are in a process of
// their own, so that the event loop measured is the web process's.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import express from 'express'
import { createMailer } from 'threadpost'
import { mailRouter } from 'threadpost/express'
import { startInbox } from 'threadpost/testing'

const MESSAGES = Number(process.argv[2] ?? 100_000)
/** Mails a second that flow meanwhile. */
const RATE = 200
const ROUNDS = 60
const RESOLUTION = 10
const MONTH = 30 * 24 * 3_600_000

if (process.send === undefined) await serve()
else await browse()

/** The web process. */
async function serve() {
  const browser = fork(import.meta.filename, [String(MESSAGES)])
  const [transport] = await once(browser, 'message')
  const folder = await mkdtemp(path.join(tmpdir(), 'threadpost-dashboard-'))
  const mailer = await createMailer({
    transport,
    from: 'shop@example.com',
    queue: `sqlite:${path.join(folder, 'outbox.db')}`,
    limits: { queue: 10 * MESSAGES },
    retain: { count: 10 * MESSAGES },
  })
  for (let n = 0; n < MESSAGES; n += 1_000) {
    const later = { delay: MONTH, expiresAt: Date.now() + 2 * MONTH }
    await mailer.sendMany(Array.from({ length: 1_000 }, (_, index) => ({ ...mailOf(n + index), ...later })))
  }
  const app = express().use('/mail', mailRouter(mailer, { auth: false }))
  const server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  await pause(3_000)
  console.log('idle:           ', await delayDuring(() => pause(5_000)))

  let sent = 0
  const flow = setInterval(() => {
    for (let n = 0; n < RATE / 20; n++) void mailer.send(mailOf(MESSAGES + sent++))
  }, 50)
  console.log('mail flows:     ', await delayDuring(() => pause(8_000)))
  const both = await delayDuring(async () => {
    browser.send(`http://127.0.0.1:${server.address().port}/mail/dashboard`)
    const [table] = await once(browser, 'message')
    console.table(table)
  })
  console.log('and is looked at:', both)
  clearInterval(flow)
  console.log(`${MESSAGES} messages in the file, ${sent} sent meanwhile`)
  server.closeAllConnections()
  server.close()
  await mailer.close({ deadline: 5_000 })
  browser.kill()
  await rm(folder, { recursive: true, force: true })
}

/** Delay of this process's event loop in ms while the work is done. */
async function delayDuring(work) {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION })
  delay.enable()
  await work()
  delay.disable()
  const lateness = (ns) => Number(Math.max(0, ns / 1e6 - RESOLUTION).toFixed(1))
  return {
    p50: lateness(delay.percentile(50)),
    p99: lateness(delay.percentile(99)),
    max: lateness(delay.max),
  }
}

/** The SMTP server, then the pages. */
async function browse() {
  const inbox = await startInbox({ keep: 10 })
  process.send(inbox.url)
  const [base] = await once(process, 'message')
  const events = await fetch(`${base}/events`)
  void events.body.pipeTo(new WritableStream()).catch(() => undefined)
  const { rows } = await (await fetch(`${base}/messages?limit=50&status=queued`)).json()
  const ids = rows.map(({ id }) => id)
  const table = []
  for (const [what, address] of Object.entries(pages())) {
    const times = []
    for (let n = 0; n < ROUNDS; n++) {
      const start = performance.now()
      const response = await fetch(`${base}/${address(n, ids)}`)
      await response.text()
      if (!response.ok) throw new Error(`${what}: ${response.status}`)
      times.push(performance.now() - start)
      await pause(20)
    }
    times.sort((a, b) => a - b)
    const at = (q) => Number(times[Math.floor(q * (times.length - 1))].toFixed(1))
    table.push({ what, 'p50 ms': at(0.5), 'p95 ms': at(0.95), 'max ms': at(1) })
  }
  process.send(table)
}

function pages() {
  return {
    'list, first page': () => 'messages?limit=50',
    'list, by status': () => 'messages?limit=50&status=queued',
    'search, a recipient in part': (n) => `messages?limit=50&q=person${(n * 7919) % MESSAGES}`,
    'search, common to all': () => 'messages?limit=50&q=example',
    'search, in none': (n) => `messages?limit=50&q=nobody${n}`,
    'search, two letters in none': () => 'messages?limit=50&q=zz',
    'filter by tag': () => 'messages?limit=50&tag=rare',
    'filter by recipient': (n) => `messages?limit=50&recipient=person${n}%40example${n % 100}.com`,
    'since an hour ago': () => `messages?limit=50&since=${Date.now() - 3_600_000}`,
    'one message': (_, ids) => `messages/${ids[0]}`,
    'what it says': (_, ids) => `messages/${ids[0]}/contents`,
    'charts (stats)': () => '../stats',
  }
}

function mailOf(n) {
  return {
    subject: `Order ${n}`,
    text: `Thank you for order ${n}`,
    to: `person${n}@example${n % 100}.com`,
    tags: [n % 10 === 0 ? 'rare' : 'common'],
  }
}
