// Sends mail for a long time to a server of which every step fails now and then:
//   node test/measure/measureSoak.mjs [--queue sqlite|postgres] [--minutes 20] [--rate 20] [--failures 0.05] (after a build).
// Every minute it prints what could grow: memory, heap, open files, and the size of the queue. At the end, every accepted message must
// have arrived, twice at most and then marked.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createMailer } from 'threadpost'
import { startInbox } from 'threadpost/testing'
import { SENDER, writeW1 } from '../../dist/src/bench/workload.js'
import { startPostgres } from './servers.mjs'

/** The server is a process of its own, whose memory isn't the mailer's. */
if (process.send !== undefined) await serve(Number(process.argv[2]))
else await soak()

async function serve(probability) {
  const faults = [
    { at: 'connect', do: 'refuse' },
    { at: 'greeting', do: 'defer' },
    { at: 'helo', do: 'close' },
    { at: 'mail', do: 'defer' },
    { at: 'rcpt', do: 'defer' },
    { at: 'data', do: 'close' },
    { at: 'dot', do: 'defer' },
    { at: 'dot', do: 'close-before' },
    { at: 'dot', do: 'close-after' },
  ].map((fault) => ({ ...fault, probability }))
  const inbox = await startInbox({ faults, keep: 10 })
  const copies = new Map()
  inbox.on('received', ({ raw }) => {
    const messageId = /^Message-ID: <([^@>]+)/im.exec(Buffer.from(raw).toString('latin1'))[1]
    copies.set(messageId, (copies.get(messageId) ?? 0) + 1)
  })
  process.on('message', () => process.send({ copies: [...copies] }))
  process.on('disconnect', () => process.exit())
  process.send(inbox.url)
}

async function soak() {
  const { values } = parseArgs({
    options: {
      queue: { type: 'string', default: 'sqlite' },
      minutes: { type: 'string', default: '20' },
      rate: { type: 'string', default: '20' },
      failures: { type: 'string', default: '0.05' },
    },
  })
  const [minutes, rate] = [Number(values.minutes), Number(values.rate)]
  const folder = await mkdtemp(path.join(tmpdir(), 'threadpost-soak-'))
  const server = fork(import.meta.filename, [values.failures])
  const [transport] = await once(server, 'message')
  const postgres = values.queue === 'postgres' ? await startPostgres() : undefined
  const { template, data } = await writeW1(folder)
  const mailer = await createMailer({
    transport,
    from: SENDER,
    templates: folder,
    queue: postgres?.url ?? `sqlite:${path.join(folder, 'outbox.db')}`,
    retry: { attempts: 100, baseDelay: 500, factor: 1 },
    retain: { count: 1_000 },
  })
  const counts = { accepted: 0, sent: 0, attempts: 0, failed: 0, marked: new Set(), settled: new Set() }
  mailer.on('sending', () => counts.attempts++)
  mailer.on('sent', ({ id }) => counts.settled.add(id))
  mailer.on('deferred', ({ messageId, outcome }) => {
    if (outcome?.result === 'uncertain') counts.marked.add(messageId.slice(1).split('@')[0])
  })
  mailer.on('failed', () => counts.failed++)

  const samples = []
  const sample = async () => {
    globalThis.gc?.()
    const { rss, heapUsed } = process.memoryUsage()
    const files = await Promise.all(
      (await readdir(folder))
        .filter((name) => name.startsWith('outbox'))
        .map((name) => stat(path.join(folder, name))),
    )
    samples.push({
      minute: Math.round((performance.now() - start) / 6_000) / 10,
      'rss, MB': Math.round(rss / 2 ** 20),
      'heap, MB': Math.round(heapUsed / 2 ** 20),
      'open files': readdirSync('/proc/self/fd').length,
      'queue, MB': Math.round(
        ((await postgres?.query(`SELECT pg_database_size(current_database())::float AS size`))?.[0].size ??
          files.reduce((sum, { size }) => sum + size, 0)) /
          2 ** 20,
      ),
      accepted: counts.accepted,
      sent: counts.settled.size,
    })
    console.log(JSON.stringify(samples.at(-1)))
  }

  const start = performance.now()
  let sampled = 0
  while (performance.now() - start < minutes * 60_000) {
    const due = Math.floor(((performance.now() - start) / 1_000) * rate) - counts.accepted
    for (let left = due; left > 0; left--) {
      await mailer.send({ template, to: `user${counts.accepted}@soak.example`, data })
      counts.accepted++
    }
    if (performance.now() - start > sampled * 60_000) {
      sampled++
      await sample()
    }
    await sleep(50)
  }
  while (counts.settled.size + counts.failed < counts.accepted) await sleep(100)
  await sample()
  server.send('copies')
  const [{ copies }] = await once(server, 'message')
  const doubled = copies.filter(([, count]) => count > 1)
  console.log(
    JSON.stringify({
      ...{ queue: values.queue, minutes, rate, failures: Number(values.failures) },
      ...{ accepted: counts.accepted, attempts: counts.attempts, failed: counts.failed },
      lost: counts.accepted - copies.length,
      doubled: doubled.length,
      'doubled without a mark': doubled.filter(([messageId]) => !counts.marked.has(messageId)).length,
    }),
  )
  await mailer.close()
  server.disconnect()
  await postgres?.close()
  await rm(folder, { recursive: true })
}
