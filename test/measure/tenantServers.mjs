// The mail servers of many tenants in one process: node tenantServers.mjs SERVERS. Sends the list of their ports and kinds to its parent.
import { createServer } from 'node:net'

/** A tenth of the servers doesn't work, in these ways. */
const BROKEN = ['dead', 'silent', 'slow', 'password']
/** Milliseconds before each reply of a slow server. */
const SLOW = 2_000

const count = Number(process.argv[2])
const servers = await Promise.all(
  Array.from({ length: count }, async (_, index) => {
    const kind = index % 10 === 9 ? BROKEN[Math.floor(index / 10) % BROKEN.length] : 'healthy'
    return { kind, port: await listen(kind) }
  }),
)
process.send(servers)

/** @returns the port; nothing listens on that of a dead server */
async function listen(kind) {
  const server = createServer((socket) => converse(socket, kind))
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  if (kind === 'dead') await new Promise((resolve) => server.close(resolve))
  return port
}

function converse(socket, kind) {
  socket.setNoDelay(true)
  socket.on('error', () => undefined)
  if (kind === 'silent') return
  let input = ''
  let inData = false
  let last = Promise.resolve()
  const reply = (text) => {
    if (kind !== 'slow') return void socket.write(`${text}\r\n`)
    last = last
      .then(() => new Promise((resolve) => setTimeout(resolve, SLOW)))
      .then(() => socket.write(`${text}\r\n`))
  }
  reply('220 tenant ESMTP')
  socket.setEncoding('latin1').on('data', (chunk) => {
    input += chunk
    for (;;) {
      const mark = inData ? '\r\n.\r\n' : '\r\n'
      const end = input.indexOf(mark)
      if (end < 0) return
      const line = input.slice(0, end)
      input = input.slice(end + mark.length)
      if (inData) reply('250 2.0.0 accepted')
      else reply(answer(line.slice(0, 4).toUpperCase(), kind))
      inData = !inData && line.slice(0, 4).toUpperCase() === 'DATA'
    }
  })
}

function answer(verb, kind) {
  switch (verb) {
    case 'EHLO':
      return '250-tenant\r\n250-PIPELINING\r\n250 AUTH PLAIN'
    case 'AUTH':
      return kind === 'password' ? '535 5.7.8 wrong password' : '235 2.7.0 welcome'
    case 'DATA':
      return '354 go on'
    case 'QUIT':
      return '221 2.0.0 bye'
    default:
      return '250 2.0.0 ok'
  }
}
