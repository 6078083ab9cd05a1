// Throughput of the SMTP intake: smtp-source (C) → intake → SQLite → worker thread → smtp-sink (C), all on loopback.
// node test/measure/measureIntake.mjs [messages] [bytes] [sessions]
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { createMailer } from '../../dist/src/index.js'
import { smtpIntake } from '../../dist/src/intake/index.js'
import { findTools } from '../support/prerequisites.mjs'

const [first = '10000', second = '16000', third = '20'] = process.argv.slice(2)

/** The process under test. It reports its port, and when so many messages were sent. */
async function relay(file, transport, count) {
  const mailer = await createMailer({ transport, queue: `sqlite:${file}` })
  let sent = 0
  mailer.on('sent', () => ++sent === count && process.send({ sent, cpu: process.cpuUsage() }))
  const { port } = await smtpIntake(mailer, { port: 0 })
  process.send({ port })
}

async function measure(count, bytes, sessions) {
  const tools = findTools()
  const [sink, source] = [tools['smtp-sink'], tools['smtp-source']]
  if (!sink || !source) throw new Error('needs smtp-sink and smtp-source: apt-get install postfix')
  const sinkPort = 20_000 + (process.pid % 10_000)
  const run = ({ command, args, env }, more) =>
    spawn(command, [...args, ...more], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  const sinkProcess = run(sink, [`127.0.0.1:${sinkPort}`, '1000'])
  const folder = await mkdtemp(path.join(os.tmpdir(), 'threadpost-intake-'))
  const child = fork(import.meta.filename, [
    'relay',
    path.join(folder, 'outbox.db'),
    `smtp://127.0.0.1:${sinkPort}`,
    String(count),
  ])
  try {
    const [{ port }] = await once(child, 'message')
    const all = once(child, 'message')
    const started = performance.now()
    const sourceProcess = run(source, [
      '-d',
      '-s',
      String(sessions),
      '-m',
      String(count),
      '-l',
      String(bytes),
      '-f',
      'a@acme.example',
      '-t',
      'b@example.com',
      `127.0.0.1:${port}`,
    ])
    await once(sourceProcess, 'exit')
    const accepted = performance.now() - started
    const [{ cpu }] = await all
    const done = performance.now() - started
    const rate = (ms) => Math.round((count / ms) * 1000)
    console.log(
      `${count} messages of ${bytes} bytes over ${sessions} sessions, ${os.cpus().length} cores, load ${os.loadavg()[0]?.toFixed(1)}`,
    )
    console.log(
      `accepted durably: ${rate(accepted)} messages/s; in and out: ${rate(done)} messages/s; CPU of the process: ${Math.round((cpu.user + cpu.system) / count)} µs a message`,
    )
  } finally {
    child.kill('SIGKILL')
    sinkProcess.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  }
}

if (first === 'relay') await relay(second, third, Number(process.argv[5]))
else await measure(Number(first), Number(second), Number(third))
