/** Entry point of the outbox thread, which owns the queue's file. Nothing else in the process opens it. */
import { readFileSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import type { FromOutbox, OutboxSetup, Request } from '../src/queue/sqlite/outboxProtocol.js'
import { type OpenFile, openOutbox, Refusal } from './outbox/databaseFile.js'
import { OutboxEngine } from './outbox/outboxEngine.js'
import { createParts } from './outbox/outboxParts.js'
import { Reserve } from './outbox/reserve.js'

/** A line of /proc/self/limits: the name, the limit in force, and the one up to which the process may raise it. */
const MAX_FILE_SIZE = /^Max file size\s+(\d+)/m

const setup = workerData as OutboxSetup
const port = parentPort
if (port === null) throw new Error('This file must run in a worker thread')

const post = (message: FromOutbox): void => {
  port.postMessage(message)
}

try {
  const open = await loadSqlite()
  const fileLimit = fileSizeLimit()
  const reserve = new Reserve(setup.file, fileLimit)
  const db = openOutbox(setup.file, open, reserve)
  const outbox = new OutboxEngine(createParts(db, setup, reserve, fileLimit), post, () => {
    port.close()
  })
  port.on('message', (requests: Request[]) => {
    outbox.receive(requests)
  })
  post({ kind: 'ready' })
} catch (error) {
  if (!(error instanceof Refusal)) throw error
  post({ kind: 'refused', problem: error.message })
}

/** Loads better-sqlite3, an optional dependency that only this queue needs. */
async function loadSqlite(): Promise<OpenFile> {
  try {
    const { default: Sqlite } = await import('better-sqlite3')
    // Opening the first database loads the binary.
    new Sqlite(':memory:').close()
    return (file, options) => new Sqlite(file, options)
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    if (code === 'ERR_MODULE_NOT_FOUND')
      throw new Refusal(
        'The SQLite queue needs the package better-sqlite3: run "npm install better-sqlite3@12"',
      )
    throw new Refusal(
      `better-sqlite3 is installed but its binary can't be loaded (${(message.split('\n')[0] ?? '').replace(/ Tried:$/, '')}): run "npm rebuild better-sqlite3". ` +
        `If its install script needs approval first, run "npm approve-scripts better-sqlite3" or "pnpm approve-builds"`,
    )
  }
}

/**
 * Returns the size in bytes that a file of this process may reach (RLIMIT_FSIZE, `ulimit -f`); Infinity if there is no limit,
 * and where the system doesn't publish it. SQLite meets the limit only when it copies its log into the file: too late for
 * the messages that it has accepted until then.
 */
function fileSizeLimit(): number {
  try {
    const [, bytes] = MAX_FILE_SIZE.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return bytes === undefined ? Infinity : Number(bytes)
  } catch {
    // Only Linux has this file.
    return Infinity
  }
}
