import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { answers, freePort } from './ports.js'
import type { Tool } from './prerequisites.mjs'

/** A Redis of our own, with its data in a temporary folder. */
export interface RedisServer {
  readonly url: string
  readonly port: number
  /** Ends it; what it stored stays. */
  stop(signal?: NodeJS.Signals): Promise<void>
  start(): Promise<void>
  /** Lets it answer nobody, with its connections open, until `thaw()`. */
  freeze(): void
  thaw(): void
  /** Ends it and removes its data. */
  close(): Promise<void>
}

/** @param settings of redis.conf, as `['--appendonly', 'yes']` */
export async function startRedis(tool: Tool, settings: string[] = []): Promise<RedisServer> {
  const folder = await mkdtemp(path.join(tmpdir(), 'threadpost-redis-'))
  const port = await freePort()
  let child: ChildProcess | undefined
  const server: RedisServer = {
    url: `redis://127.0.0.1:${port}`,
    port,
    async start() {
      const options = [
        '--port',
        String(port),
        '--bind',
        '127.0.0.1',
        '--dir',
        folder,
        '--save',
        '',
        ...settings,
      ]
      child = spawn(tool.command, [...tool.args, ...options], {
        env: { ...process.env, ...tool.env },
        stdio: 'ignore',
      })
      while (!(await answers(port))) {
        if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}`)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    },
    async stop(signal = 'SIGTERM') {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, 'exit')
      child.kill(signal)
      await gone
    },
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    async close() {
      await server.stop('SIGKILL')
      await rm(folder, { recursive: true, force: true })
    },
  }
  await server.start()
  return server
}

/** A Redis for the tests of a describe block, which calls this; it is up before they begin. */
export interface SharedRedis extends RedisServer {
  /** Where nobody's queue is yet. */
  place(): { url: string; prefix: string }
}

export function useRedis(tool: Tool, settings: string[] = []): SharedRedis {
  let places = 0
  const redis = { place: () => ({ url: redis.url, prefix: `place-${++places}` }) } as SharedRedis
  beforeAll(async () => {
    Object.assign(redis, await startRedis(tool, settings))
  })
  afterAll(() => redis.close())
  return redis
}
