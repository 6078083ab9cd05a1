import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { onTestFinished } from 'vitest'
import { answers, freePort } from './ports.js'
import { unprivileged } from './postgres.js'
import type { Tool } from './prerequisites.mjs'

/**
 * PgBouncer in transaction mode in front of a Postgres, with fewer sessions than clients: each transaction may have another one.
 * Ended when the test ends.
 * @returns the URL for clients
 */
export async function startPgbouncer(tool: Tool, postgresPort: number): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'threadpost-pgbouncer-'))
  const port = await freePort()
  const settings = path.join(folder, 'pgbouncer.ini')
  await writeFile(
    settings,
    `[databases]
* = host=127.0.0.1 port=${postgresPort} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = 200
`,
  )
  if (unprivileged.uid !== undefined) await chown(folder, unprivileged.uid, unprivileged.uid)
  const child: ChildProcess = spawn(tool.command, [...tool.args, settings], {
    ...unprivileged,
    env: { ...process.env, ...tool.env },
    stdio: 'ignore',
  })
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    }
    await rm(folder, { recursive: true, force: true })
  })
  while (!(await answers(port))) {
    if (child.exitCode !== null) throw new Error(`pgbouncer ended with ${child.exitCode}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return `postgres://postgres@127.0.0.1:${port}/postgres`
}
