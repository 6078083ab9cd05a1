// What a fleet on Redis costs: Redis commands, bytes and CPU a message, the cost of send(), and messages a second with
// 1, 2 and 4 workers, each a process of its own, against a sink on the same machine:
//   npm run build && node test/measure/measureFleet.mjs [--messages 5000] [--workers 1,2,4]
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Redis } from 'ioredis'
import { writeW1 } from '../../dist/src/bench/workload.js'
import { createMailer } from '../../dist/src/index.js'
import { tools } from '../support/prerequisites.mjs'

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '5000' },
    workers: { type: 'string', default: '1,2,4' },
  },
})
const COUNT = Number(values.messages)
if (COUNT > 10_000)
  throw new Error('more than are kept once they are sent (retain.count): the end could not be seen')
const dist = path.resolve(import.meta.dirname, '../../dist/src')
const folder = await mkdtemp(path.join(tmpdir(), 'threadpost-fleet-'))
const children = []

/** Starts a program and resolves with its first line. */
async function start(command, args, env = {}) {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'inherit'] })
  children.push(child)
  const [line] = await once(child.stdout.setEncoding('utf8'), 'data')
  child.stdout.resume()
  return { child, line }
}

/** Microseconds of CPU a process has used (Linux only). */
function cpuOf(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

try {
  const { 'redis-server': tool } = (await tools()).tools
  if (tool === undefined) throw new Error('redis-server is needed')
  const port = await freePort()
  const url = `redis://127.0.0.1:${port}`
  const settings = ['--port', port, '--dir', folder, '--save', '', '--appendonly', 'yes'].map(String)
  const { child: server } = await start(tool.command, [...tool.args, ...settings], tool.env)
  const redis = new Redis(url)
  const number = async (section, field) =>
    Number(new RegExp(`^${field}:(\\d+)`, 'm').exec(await redis.info(section))?.[1] ?? 0)
  const { line: sink } = await start(process.execPath, [path.join(dist, 'bench/sink.js')])
  const { template, data } = await writeW1(folder)

  for (const count of values.workers.split(',').map(Number)) {
    const queue = { url, prefix: `fleet-${count}` }
    const mailer = await createMailer({ role: 'send', from: 'Acme <hello@acme.example>', queue })
    const memory = await number('memory', 'used_memory')
    await redis.config('RESETSTAT')
    const before = { own: process.cpuUsage(), redis: cpuOf(server.pid), at: performance.now() }
    for (let sent = 0; sent < COUNT; sent += 50)
      await Promise.all(
        Array.from({ length: 50 }, (_, n) =>
          mailer.send({ to: `user${sent + n}@example.com`, template, data }),
        ),
      )
    const { user, system } = process.cpuUsage(before.own)
    const accepted = (performance.now() - before.at) / 1_000
    const bytes = ((await number('memory', 'used_memory')) - memory) / COUNT
    console.log(
      `enqueued ${(COUNT / accepted).toFixed(0)}/s; send() ${((user + system) / COUNT).toFixed(0)} µs of CPU; ` +
        `${bytes.toFixed(0)} bytes of Redis memory a waiting message`,
    )

    const flags = ['--transport', `smtp://127.0.0.1:${sink.trim()}`, '--queue', url, '--prefix', queue.prefix]
    const main = path.join(dist, 'cli/main.js')
    // So that they begin together.
    await mailer.pause()
    const workers = await Promise.all(
      Array.from({ length: count }, () =>
        start(process.execPath, [main, 'worker', ...flags, '--templates', folder]),
      ),
    )
    const used = () => workers.reduce((sum, { child }) => sum + cpuOf(child.pid), 0)
    const started = used()
    const at = performance.now()
    await mailer.resume()
    while ((await mailer.stats()).sent < COUNT) await sleep(20)
    const seconds = (performance.now() - at) / 1_000
    const cpu = (used() - started) / COUNT
    const commands = (await number('stats', 'total_commands_processed')) / COUNT
    const network =
      ((await number('stats', 'total_net_input_bytes')) + (await number('stats', 'total_net_output_bytes'))) /
      COUNT
    console.log(
      `${count} workers: ${(COUNT / seconds).toFixed(0)} messages/s; a message: ${commands.toFixed(1)} commands, ` +
        `${network.toFixed(0)} bytes to and from Redis, ${((cpuOf(server.pid) - before.redis) / COUNT).toFixed(0)} µs of Redis' CPU, ` +
        `${cpu.toFixed(0)} µs of the workers' (the template compiled in each included)`,
    )
    await mailer.close()
    for (const { child } of workers) {
      child.kill('SIGTERM')
      await once(child, 'exit')
    }
  }
  redis.disconnect()
} finally {
  for (const child of children) child.kill('SIGKILL')
  await rm(folder, { recursive: true, force: true })
}
