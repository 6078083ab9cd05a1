import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll } from 'vitest'
import { freePort } from './ports.js'
import type { Tool } from './prerequisites.mjs'

/** Postgres refuses to run as root. */
const NOBODY = 65534
const asRoot = process.getuid?.() === 0
export const unprivileged = asRoot ? { uid: NOBODY, gid: NOBODY } : {}

/** A Postgres of our own, with its data in a temporary folder. */
export interface PostgresServer {
  readonly url: string
  readonly port: number
  /** Ends it: `SIGINT` ends its sessions first, and `SIGKILL` is a crash. What it stored stays. */
  stop(signal?: 'SIGINT' | 'SIGKILL'): Promise<void>
  start(): Promise<void>
  /** Runs one statement as the superuser. */
  query<Row extends pg.QueryResultRow = pg.QueryResultRow>(text: string, values?: unknown[]): Promise<Row[]>
  /** Ends it and removes its data. */
  close(): Promise<void>
}

/**
 * @param settings of postgresql.conf; without any, nothing is written through to the disk
 * @param primary if given, the server is a standby that streams from it
 */
export async function startPostgres(
  tool: Tool,
  settings: Record<string, string> = { fsync: 'off' },
  primary?: PostgresServer,
): Promise<PostgresServer> {
  const folder = await mkdtemp(path.join(tmpdir(), 'threadpost-postgres-'))
  if (asRoot) await chown(folder, NOBODY, NOBODY)
  const data = path.join(folder, 'data')
  const port = await freePort()
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  const options = { ...unprivileged, env: { ...process.env, ...tool.env, LC_ALL: 'C' }, cwd: folder }
  const programs = path.dirname(await realpath(tool.command))
  const [program, ...args] =
    primary === undefined
      ? ['initdb', '-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync']
      : ['pg_basebackup', '-D', data, '-d', primary.url, '-R', '-X', 'stream', '-c', 'fast', '--no-sync']
  const creating = spawn(path.join(programs, program), args, {
    ...options,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const [code] = (await once(creating, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`${program} ended with ${code}`)

  let child: ChildProcess | undefined
  const server: PostgresServer = {
    url,
    port,
    async start() {
      const all = {
        port: String(port),
        listen_addresses: '127.0.0.1',
        unix_socket_directories: folder,
        shared_buffers: '64MB',
        log_min_messages: 'fatal',
        ...settings,
      }
      const flags = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])
      const launch = () => spawn(tool.command, ['-D', data, ...flags], { ...options, stdio: 'ignore' })
      child = launch()
      for (let failures = 0; ;) {
        try {
          await server.query('SELECT 1')
          return
        } catch {
          // After a crash, it refuses to start until the last process of the old one has ended.
          if (child.exitCode !== null) {
            if (++failures > 100) throw new Error(`Postgres ended with ${child.exitCode}`)
            child = launch()
          }
          await new Promise((resolve) => setTimeout(resolve, 50))
        }
      }
    },
    async stop(signal = 'SIGINT') {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, 'exit')
      child.kill(signal)
      await gone
    },
    async query<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []) {
      const client = new pg.Client(url)
      client.on('error', () => undefined)
      await client.connect()
      try {
        return (await client.query<Row>(text, values)).rows
      } finally {
        await client.end()
      }
    },
    async close() {
      await server.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
  await server.start()
  return server
}

/** A Postgres for the tests of a describe block, which calls this; it runs before they begin. */
export interface SharedPostgres extends PostgresServer {
  /** A queue that nobody uses yet. */
  place(): { url: string; schema: string }
}

export function usePostgres(tool: Tool, settings?: Record<string, string>): SharedPostgres {
  let places = 0
  const postgres = {
    place: () => ({ url: postgres.url, schema: `place_${++places}` }),
  } as SharedPostgres
  beforeAll(async () => {
    Object.assign(postgres, await startPostgres(tool, settings))
  })
  afterAll(() => postgres.close())
  return postgres
}
