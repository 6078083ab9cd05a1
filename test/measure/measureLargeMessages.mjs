// Memory of a process while clients submit large messages over SMTP, and while it relays them: the growth of its peak resident set
// size (VmHWM) over what it had before. Needs Linux.
//   node test/measure/measureLargeMessages.mjs [megabytes] [text | binary]
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { createMailer } from '../../dist/src/index.js'
import { smtpIntake } from '../../dist/src/intake/index.js'
import { emptySink } from './emptySink.mjs'

const [megabytes = '24', kind = 'text'] = process.argv.slice(2)
const MB = 2 ** 20

if (process.argv[2] === 'relay') await relay(...process.argv.slice(3))
else await measure()

/** The process under test. The queue is paused until it is told to go on. */
async function relay(queue, transport) {
  const mailer = await createMailer({ transport, queue, limits: { message: 64 * MB } })
  let sent = 0
  mailer.on('sent', () => process.send({ sent: ++sent }))
  const { port } = await smtpIntake(mailer, { port: 0, size: 64 * MB, limits: { memory: 1024 * MB } })
  process.on('message', async (what) => {
    await mailer[what]()
    process.send({ done: what })
  })
  process.send({ port })
}

/** Submits one message. With `sized`, the client says how large it is (RFC 1870). */
async function submit(port, message, sized) {
  const socket = net.connect(port, '127.0.0.1')
  const replies = repliesOf(socket)
  const ask = async (text) => {
    socket.write(text)
    const { value } = await replies.next()
    if (!/^[23]/.test(value)) throw new Error(value)
  }
  await replies.next()
  await ask('EHLO client.example\r\n')
  await ask(`MAIL FROM:<a@acme.example>${sized ? ` SIZE=${message.length}` : ''} BODY=8BITMIME\r\n`)
  await ask('RCPT TO:<ada@example.com>\r\n')
  await ask('DATA\r\n')
  socket.write(message)
  await ask('.\r\n')
  socket.end('QUIT\r\n')
}

async function* repliesOf(socket) {
  let text = ''
  for await (const chunk of socket) {
    text += chunk
    for (let reply; (reply = /^(?:\d{3}-.*\r\n)*\d{3} .*\r\n/.exec(text)?.[0]) !== undefined;) {
      text = text.slice(reply.length)
      yield reply
    }
  }
}

function messageOf(bytes) {
  const head = 'From: a@acme.example\r\nTo: ada@example.com\r\nSubject: Large\r\n\r\n'
  const line = Buffer.from(`${(kind === 'binary' ? 'é' : 'ab').repeat(38)}\r\n`)
  const lines = Math.floor((bytes - head.length) / line.length)
  return Buffer.concat([Buffer.from(head), Buffer.alloc(lines * line.length, line)])
}

/** The peak of the resident set size since the last call, in bytes. */
function peakOf(pid) {
  const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
  return peak
}

function residentOf(pid) {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024
}

async function measure() {
  const server = emptySink()
  await once(server, 'listening')
  const transport = `smtp://127.0.0.1:${server.address().port}`
  const message = messageOf(Number(megabytes) * MB)
  console.log(`${megabytes} MB each, ${kind}; growth of the peak of resident memory in MB`)
  for (const queue of ['memory', 'sqlite'])
    for (const clients of [1, 8]) console.log(await row(queue, transport, message, clients))
  server.close()
}

async function row(queue, transport, message, clients) {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'threadpost-large-'))
  const url = queue === 'memory' ? 'memory' : `sqlite:${path.join(folder, 'outbox.db')}`
  const child = fork(import.meta.filename, ['relay', url, transport])
  const until = async (test) => {
    for (;;) {
      const [message] = await once(child, 'message')
      if (test(message)) return message
    }
  }
  try {
    const { port } = await until(({ port }) => port !== undefined)
    const first = until(({ sent }) => sent === 1)
    await submit(port, messageOf(100_000), false)
    await first
    const paused = until(({ done }) => done === 'pause')
    child.send('pause')
    await paused
    const before = residentOf(child.pid)
    peakOf(child.pid)
    await Promise.all(Array.from({ length: clients }, (_, n) => submit(port, message, n % 2 === 0)))
    const accepted = peakOf(child.pid) - before
    const held = residentOf(child.pid) - before
    const all = until(({ sent }) => sent === 1 + clients)
    child.send('resume')
    await all
    const sent = peakOf(child.pid) - before
    const mb = (bytes) => Math.round(bytes / MB)
    return {
      queue,
      clients,
      'accepting them': mb(accepted),
      'when accepted': mb(held),
      'sending them': mb(sent),
    }
  } finally {
    child.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  }
}
