// Rate at which one process takes in delivery events: a provider (a process of its own) posts signed batches over HTTP, each event about
// another message that was sent before.
//   node test/measure/measureReports.mjs [memory | sqlite] [messages] [events in a batch] [connections]
import { fork, spawn } from 'node:child_process'
import { generateKeyPairSync, sign } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import express from 'express'
import { deliveryEventsRouter } from '../../dist/src/express/index.js'
import { createMailer } from '../../dist/src/index.js'
import { findTools } from '../support/prerequisites.mjs'

const [queue = 'memory', messages = '20000', batch = '200', connections = '8'] = process.argv.slice(2)

if (process.argv[2] === 'provider') provider()
else await measure()

/** Posts events as SendGrid does: signed with ECDSA over the timestamp and the body. */
function provider() {
  process.once('message', ({ url, privateKey, ids, batch, connections }) => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: connections })
    const timestamp = String(Math.floor(Date.now() / 1000))
    const bodies = []
    for (let from = 0; from < ids.length; from += batch)
      bodies.push(JSON.stringify(ids.slice(from, from + batch).map((id) => eventOf(id, timestamp))))
    const requests = bodies.map((body) => ({
      body,
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'X-Twilio-Email-Event-Webhook-Timestamp': timestamp,
        'X-Twilio-Email-Event-Webhook-Signature': sign(
          'sha256',
          Buffer.from(timestamp + body),
          privateKey,
        ).toString('base64'),
      },
    }))
    process.once('message', async () => {
      let matched = 0
      const next = requests.values()
      const connection = async () => {
        for (const { body, headers } of next) {
          const answer = await post(url, agent, headers, body)
          matched += answer.matched
        }
      }
      await Promise.all(Array.from({ length: connections }, connection))
      process.send({ matched })
      process.disconnect()
      agent.destroy()
    })
    process.send('ready')
  })
}

/** An event as SendGrid documents it. */
function eventOf(id, timestamp) {
  return {
    email: 'ada@example.com',
    timestamp: Number(timestamp),
    'smtp-id': `<${id}@acme.example>`,
    event: 'delivered',
    category: ['receipt'],
    sg_event_id: Buffer.from(id).toString('base64url').slice(0, 22),
    sg_message_id: `${id.slice(0, 22)}.filter0001.16648.5515E0B88.0`,
    response: '250 2.0.0 OK 1772000000 d2e1a72fcca58-7 - gsmtp',
    tls: 1,
  }
}

function post(url, agent, headers, body) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method: 'POST', agent, headers }, async (response) => {
      let text = ''
      for await (const chunk of response) text += chunk
      if (response.statusCode === 200) resolve(JSON.parse(text))
      else reject(new Error(`${response.statusCode} ${text}`))
    })
    request.on('error', reject).end(body)
  })
}

async function measure() {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'threadpost-reports-'))
  const sinkPort = 20_000 + (process.pid % 10_000)
  const { command, args, env } = findTools()['smtp-sink'] ?? missing()
  const sink = spawn(command, [...args, `127.0.0.1:${sinkPort}`, '1000'], { env: { ...process.env, ...env } })
  const client = fork(import.meta.filename, ['provider'])
  try {
    const mailer = await createMailer({
      transport: `smtp://127.0.0.1:${sinkPort}`,
      from: 'Acme <hello@acme.example>',
      queue: queue === 'memory' ? 'memory' : `sqlite:${path.join(folder, 'outbox.db')}`,
      limits: { queue: Number(messages) },
      retain: { count: Number(messages) },
    })
    const ids = await sendAll(mailer, Number(messages))
    const { publicKey, privateKey } = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      publicKeyEncoding: { format: 'pem', type: 'spki' },
      privateKeyEncoding: { format: 'pem', type: 'pkcs8' },
    })
    const app = express().use('/events', deliveryEventsRouter(mailer, { sendgrid: { publicKey } }))
    const server = app.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `http://127.0.0.1:${server.address().port}/events/sendgrid`
    client.send({ url, privateKey, ids, batch: Number(batch), connections: Number(connections) })
    await once(client, 'message')
    const cpu = process.cpuUsage()
    const start = performance.now()
    client.send('go')
    const [{ matched }] = await once(client, 'message')
    const ms = performance.now() - start
    const { user, system } = process.cpuUsage(cpu)
    if (matched !== ids.length) throw new Error(`${matched} of ${ids.length} events were matched`)
    console.log(
      `${queue}: ${ids.length} events in batches of ${batch} over ${connections} connections, ` +
        `${os.cpus().length} cores, load ${os.loadavg()[0]?.toFixed(1)}: ` +
        `${Math.round((ids.length / ms) * 1000)} events/s, ` +
        `CPU of the process, in all threads: ${Math.round((user + system) / ids.length)} µs an event`,
    )
    server.close()
    await mailer.close()
  } finally {
    client.kill('SIGKILL')
    sink.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  }
}

/** Sends messages, and returns their ids once all were sent. */
async function sendAll(mailer, count) {
  const ids = []
  const done = new Promise((resolve) => mailer.on('sent', ({ id }) => ids.push(id) === count && resolve()))
  const mail = { to: 'ada@example.com', subject: 'Your receipt', text: 'Hello, Ada', tags: ['receipt'] }
  for (let from = 0; from < count; from += 500)
    await mailer.sendMany(Array.from({ length: Math.min(500, count - from) }, () => mail))
  await done
  return ids
}

function missing() {
  throw new Error('needs smtp-sink: apt-get install postfix')
}
