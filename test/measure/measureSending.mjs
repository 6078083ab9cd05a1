// Raw sending of one ready message of 14 KB, threadpost's session beside nodemailer's pool, both in this thread and in
// one run, against smtp-sink:   npm run build && node test/measure/measureSending.mjs [--messages 20000]
// First on the spot with ten deliveries at a time; then over one connection with 20 ms of added latency.
import { fork, spawn } from 'node:child_process'
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createTransport } from 'nodemailer'
import { SmtpSender } from '../../dist/workers/transports/smtp/smtpSender.js'
import { tools } from '../support/prerequisites.mjs'

const { values } = parseArgs({ options: { messages: { type: 'string', default: '20000' } } })

const envelope = { from: 'hello@acme.example', to: ['ada@example.com'] }

if (process.send) relay(Number(process.env.TARGET), Number(process.env.DELAY))
else await main()

/** Passes bytes on, each way after the delay. */
function relay(target, delay) {
  const server = net.createServer((from) => {
    const to = net.connect(target, '127.0.0.1')
    for (const [a, b] of [
      [from, to],
      [to, from],
    ]) {
      a.setNoDelay(true)
      a.on('data', (chunk) => setTimeout(() => b.write(chunk), delay))
      a.on('close', () => setTimeout(() => b.destroy(), delay))
      a.on('error', () => undefined)
    }
  })
  server.listen(0, '127.0.0.1', () => process.send(server.address().port))
}

function message() {
  const line =
    `<td style=3D"padding:10px 25px;word-break:break-word;">A line of a receipt`.padEnd(75, '.') + '=\r\n'
  return Buffer.from(
    `Subject: Your receipt\r\nContent-Type: text/html\r\n\r\n${line.repeat(Math.ceil(14_000 / line.length))}\r\n`,
  )
}

function threadpost(port, connections) {
  const timeouts = { connect: 5e3, greeting: 5e3, handshake: 5e3, envelope: 6e4, body: 6e4, idle: 5e3 }
  const base = {
    kind: 'smtp',
    name: 'x',
    host: '127.0.0.1',
    port,
    secure: false,
    requireTLS: false,
    pipelining: true,
    tls: {},
    ehloName: 'client.example',
    messagesPerConnection: 100_000,
    pipelineDepth: 1,
  }
  const sender = new SmtpSender({ ...base, timeouts }, connections)
  const progress = { enterPhase() {}, commit: () => 'committed', release() {}, replied() {}, addTiming() {} }
  return {
    async send(bytes) {
      const { outcome } = await sender.send(
        { envelope, composed: { bytes, transparent: false } },
        progress,
        performance.now() + 60_000,
      )
      if (outcome.result !== 'sent') throw new Error(outcome.code)
    },
    close: () => sender.quit(),
  }
}

function nodemailer(port, connections) {
  const options = { host: '127.0.0.1', port, pool: true, maxConnections: connections, maxMessages: Infinity }
  const transport = createTransport({ ...options, ignoreTLS: true })
  return { send: (raw) => transport.sendMail({ envelope, raw }), close: () => transport.close() }
}

async function measure(sender, count, concurrency) {
  const bytes = message()
  let next = 0
  const runner = async (limit) => {
    while (next < limit) {
      next++
      await sender.send(bytes)
    }
  }
  const run = (limit) => Promise.all(Array.from({ length: concurrency }, () => runner(limit)))
  await run(Math.min(500, Math.ceil(count / 10)))
  next = 0
  const cpu = process.cpuUsage()
  const start = performance.now()
  await run(count)
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(cpu)
  await sender.close()
  return {
    perSecond: count / seconds,
    perCpuSecond: (count * 1e6) / (user + system),
    ms: (seconds * 1000) / count,
  }
}

async function main() {
  const sink = (await tools()).tools['smtp-sink']
  if (!sink) throw new Error('smtp-sink is not there')
  const port = 20_000 + Math.floor(Math.random() * 20_000)
  const child = spawn(sink.command, [...sink.args, `127.0.0.1:${port}`, '1000'], {
    env: { ...process.env, ...sink.env },
    stdio: 'ignore',
  })
  await sleep(500)
  const far = fork(new URL(import.meta.url), { env: { ...process.env, TARGET: String(port), DELAY: '10' } })
  const farPort = await new Promise((resolve) => far.once('message', resolve))
  const count = Number(values.messages)
  try {
    const rows = {}
    const row = (name, { perSecond, perCpuSecond, ms }) =>
      (rows[name] = {
        'messages/s': Math.round(perSecond),
        'messages/CPU s': Math.round(perCpuSecond),
        'ms each': ms.toFixed(3),
      })
    row('near, 10 at a time: nodemailer', await measure(nodemailer(port, 10), count / 4, 10))
    row('near, 10 at a time: threadpost', await measure(threadpost(port, 10), count, 10))
    row('near, 1 at a time: nodemailer', await measure(nodemailer(port, 1), count / 8, 1))
    row('near, 1 at a time: threadpost', await measure(threadpost(port, 1), count / 8, 1))
    row('far, 1 connection: nodemailer', await measure(nodemailer(farPort, 1), 150, 10))
    row('far, 1 connection: threadpost', await measure(threadpost(farPort, 1), 150, 10))
    row('far, 10 at a time: nodemailer', await measure(nodemailer(farPort, 10), 1_000, 10))
    row('far, 10 at a time: threadpost', await measure(threadpost(farPort, 10), 1_000, 10))
    console.table(rows)
  } finally {
    far.kill()
    child.kill()
  }
}
