// The servers that a measurement runs against, with the settings that keep every accepted message, and what they have done so far.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { chown, mkdtemp, realpath, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Redis } from 'ioredis'
import pg from 'pg'
import { tools } from '../support/prerequisites.mjs'

/** Postgres refuses to run as root. */
const NOBODY = 65534
const isRoot = process.getuid() === 0

/**
 * @typedef {{ commands: number, log: number, cpu: number }} Usage
 * `log`: bytes written to the log that makes messages durable; `cpu`: microseconds (Linux only).
 */

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

function statOf(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number)
}

/** Microseconds of CPU that a process has used, and those of its children that ended. */
export function cpuOf(pid) {
  const [user, system, childUser, childSystem] = statOf(pid).slice(11, 15)
  return (user + system + childUser + childSystem) * 10_000
}

/** The same with its children that still run. */
function cpuOfTree(parent) {
  let sum = cpuOf(parent)
  for (const name of readdirSync('/proc')) {
    try {
      if (/^\d+$/.test(name) && statOf(name)[1] === parent) sum += cpuOf(name)
    } catch {
      // It has just ended, so its parent counts it.
    }
  }
  return sum
}

/** Redis that writes through once per second, as its documentation recommends. */
export async function startRedis() {
  const { 'redis-server': tool } = (await tools()).tools
  if (tool === undefined) throw new Error('redis-server is needed')
  const folder = await mkdtemp(path.join(tmpdir(), 'threadpost-redis-'))
  const port = await freePort()
  const settings = { port, dir: folder, save: '', appendonly: 'yes', 'auto-aof-rewrite-percentage': 0 }
  const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, `${value}`])
  const server = spawn(tool.command, [...tool.args, ...flags], {
    env: { ...process.env, ...tool.env },
    stdio: 'ignore',
  })
  const redis = new Redis({ port })
  const number = async (section, field) =>
    Number(new RegExp(`^${field}:(\\d+)`, 'm').exec(await redis.info(section))?.[1] ?? 0)
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    /** @returns {Promise<Usage>} */
    usage: async () => ({
      commands: await number('stats', 'total_commands_processed'),
      log: await number('persistence', 'aof_current_size'),
      cpu: cpuOfTree(server.pid),
    }),
    async close() {
      redis.disconnect()
      server.kill('SIGKILL')
      await once(server, 'exit')
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Postgres with the settings of a new installation, and its own count of statements. */
export async function startPostgres(settings = {}) {
  const { postgres: tool } = (await tools()).tools
  if (tool === undefined) throw new Error('postgres is needed')
  const folder = await mkdtemp(path.join(tmpdir(), 'threadpost-postgres-'))
  if (isRoot) await chown(folder, NOBODY, NOBODY)
  const options = {
    ...(isRoot ? { uid: NOBODY, gid: NOBODY } : {}),
    cwd: folder,
    env: { ...process.env, ...tool.env, LC_ALL: 'C' },
    stdio: 'ignore',
  }
  const data = path.join(folder, 'data')
  const initdb = path.join(path.dirname(await realpath(tool.command)), 'initdb')
  execFileSync(initdb, ['-D', data, '-U', 'postgres', '-A', 'trust', '--no-locale', '-E', 'UTF8'], options)
  const port = await freePort()
  const all = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: folder,
    shared_preload_libraries: 'pg_stat_statements',
    'pg_stat_statements.track': 'all',
    ...settings,
  }
  const flags = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const server = spawn(tool.command, ['-D', data, ...flags], options)
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  let client
  while (client === undefined) {
    const next = new pg.Client(url)
    client = await next.connect().then(
      () => next,
      () => new Promise((resolve) => setTimeout(resolve, 50)),
    )
  }
  await client.query('CREATE EXTENSION pg_stat_statements')
  const query = async (text, values) => (await client.query(text, values)).rows
  return {
    port,
    url,
    query,
    /** @returns {Promise<Usage>} */
    async usage() {
      const [{ commands, log }] = await query(
        `SELECT (SELECT sum(calls) FROM pg_stat_statements WHERE toplevel)::float AS commands,
          (pg_current_wal_lsn() - '0/0')::float AS log`,
      )
      return { commands, log, cpu: cpuOfTree(server.pid) }
    },
    async close() {
      await client.end()
      server.kill('SIGINT')
      await once(server, 'exit')
      await rm(folder, { recursive: true, force: true })
    },
  }
}
