// Time of a Flask route that sends a mail with Flask-Mail: to a server that takes 200 ms to accept a message, and to threadpost on
// loopback, which relays to that server.
//   node test/measure/measureFlask.mjs [requests] [milliseconds]
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { createMailer } from '../../dist/src/index.js'
import { smtpIntake } from '../../dist/src/intake/index.js'
import { tools } from '../support/prerequisites.mjs'

const [requests = '100', latency = '200'] = process.argv.slice(2)

const APP = `
import os
from flask import Flask
from flask_mail import Mail, Message
from werkzeug.serving import make_server

app = Flask(__name__)
app.config.update(MAIL_SERVER="127.0.0.1", MAIL_PORT=int(os.environ["MAIL_PORT"]), MAIL_DEFAULT_SENDER="hello@acme.example")
mail = Mail(app)

@app.post("/signup")
def signup():
    mail.send(Message("Welcome", recipients=["ada@example.com"], body="Hello, Ada"))
    return "ok"

server = make_server("127.0.0.1", 0, app, threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
`

/** Accepts every message, after a time; the other commands at once. */
function slowServer(ms) {
  return createServer((socket) => {
    let inData = false
    let text = ''
    socket.on('error', () => undefined)
    socket.write('220 slow\r\n')
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      for (;;) {
        const end = inData ? text.indexOf('\r\n.\r\n') : text.indexOf('\r\n')
        if (end === -1) return
        const line = text.slice(0, end)
        text = text.slice(end + (inData ? 5 : 2))
        if (inData) setTimeout(() => socket.write('250 2.0.0 accepted\r\n'), ms)
        else if (/^QUIT/i.test(line)) return void socket.end('221 bye\r\n')
        else socket.write(/^DATA/i.test(line) ? '354 go on\r\n' : '250 ok\r\n')
        inData = !inData && /^DATA/i.test(line)
      }
    })
  })
}

/** Milliseconds of each request, one after the other. */
async function timesOf(python, port) {
  const { command, args, env } = python
  const child = spawn(command, [...args, '-c', APP], {
    env: { ...process.env, ...env, MAIL_PORT: String(port) },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  try {
    const [line] = await once(child.stdout, 'data')
    const url = `http://127.0.0.1:${Number(line)}/signup`
    const request = async () => {
      const start = performance.now()
      const response = await fetch(url, { method: 'POST' })
      if ((await response.text()) !== 'ok') throw new Error(`the route answered ${response.status}`)
      return performance.now() - start
    }
    for (let warmUp = 0; warmUp < 5; warmUp++) await request()
    const times = []
    for (let n = 0; n < Number(requests); n++) times.push(await request())
    return times.sort((a, b) => a - b)
  } finally {
    child.kill()
  }
}

const python = (await tools()).tools['python3-flask']
if (python === undefined)
  throw new Error('needs Flask and Flask-Mail: apt-get install python3-flask python3-flask-mail')
const folder = await mkdtemp(path.join(os.tmpdir(), 'threadpost-flask-'))
const slow = slowServer(Number(latency)).listen(0, '127.0.0.1')
await once(slow, 'listening')
const open = async (queue) => {
  const mailer = await createMailer({ transport: `smtp://127.0.0.1:${slow.address().port}`, queue })
  return { mailer, intake: await smtpIntake(mailer, { port: 0 }) }
}
const durable = await open(`sqlite:${path.join(folder, 'outbox.db')}`)
const inMemory = await open('memory')
const rows = []
for (const [way, port] of [
  [`to a server that answers after ${latency} ms`, slow.address().port],
  ['through threadpost with SQLite, to the same server', durable.intake.port],
  ['through threadpost in memory, to the same server', inMemory.intake.port],
]) {
  const times = await timesOf(python, port)
  const at = (share) => Number(times[Math.floor(share * times.length)].toFixed(1))
  rows.push({ 'the route sends': way, 'median ms': at(0.5), 'p95 ms': at(0.95), 'slowest ms': at(0.999) })
}
for (const { intake, mailer } of [durable, inMemory]) {
  await intake.close()
  await mailer.close()
}
console.log(`${requests} requests, one after the other; load ${os.loadavg()[0]?.toFixed(1)}`)
console.table(rows)
slow.close()
await rm(folder, { recursive: true, force: true })
