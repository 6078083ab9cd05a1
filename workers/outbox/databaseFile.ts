import { accessSync, chmodSync, constants, rmSync, statSync } from 'node:fs'
import path from 'node:path'
import type { Database } from 'better-sqlite3'
import { createPrivateFile } from '../../src/queue/sqlite/outboxProtocol.js'
import { counterFile } from './claimCounter.js'
import type { Reserve } from './reserve.js'
import { APPLICATION_ID, MIGRATIONS } from './schema.js'

/** Milliseconds to wait for another process's transaction. */
export const BUSY_TIMEOUT = 5_000
/** Files up to this size in bytes are checked page by page at each start; for larger ones that would take seconds. */
const MAX_CHECKED_SIZE = 16 * 1024 * 1024
/**
 * Pages of the write-ahead log after which SQLite makes a checkpoint. The limit bounds the log and the time of a start after a crash.
 * On a small disk the checkpoint comes sooner: the file may grow by as much as the log holds, and the reserve must cover that.
 */
const CHECKPOINT_PAGES = 2_000
const LOG_SHARE_OF_RESERVE = 2
/** Bytes of the reserve released to open the file on a full disk, where SQLite has to recreate the shared index of the log. */
const OPENING_SPACE = 1024 * 1024

/** Opens a file with better-sqlite3, which is loaded at run time because it is optional. */
export type OpenFile = (file: string, options: { timeout: number }) => Database

/** The reason why a file can't be the queue; the message is shown to the operator. */
export class Refusal extends Error {}

/**
 * Opens the file, or creates it: durable, private, and migrated to the current version.
 * @throws Refusal if the file is damaged or belongs to another program; never starts an empty queue in its place
 */
export function openOutbox(file: string, open: OpenFile, reserve: Reserve): Database {
  inspect(file)
  if (reserve.free() < OPENING_SPACE) reserve.release(OPENING_SPACE)
  let db: Database | undefined
  try {
    // Created here, so that it never has wider permissions; SQLite gives its -wal and -shm files the same.
    createPrivateFile(file)
    restrict(file)
    db = open(file, { timeout: BUSY_TIMEOUT })
    configure(db, reserve)
    migrate(db, file)
    check(db, file)
    return db
  } catch (error) {
    db?.close()
    throw error instanceof Refusal ? error : refusalOf(error, file)
  }
}

function inspect(file: string): void {
  const folder = path.dirname(file)
  const folderStats = statSync(folder, { throwIfNoEntry: false })
  if (folderStats?.isDirectory() !== true)
    throw new Refusal(`The folder ${folder} does not exist: create it, or name another file for the queue`)
  try {
    accessSync(folder, constants.W_OK | constants.X_OK)
  } catch {
    throw new Refusal(
      `The folder ${folder} isn't writable for this user; SQLite keeps its log next to the file`,
    )
  }
  // Before the file: another process may create both at this moment, the counter last.
  const counter = statSync(counterFile(file), { throwIfNoEntry: false })
  const stats = statSync(file, { throwIfNoEntry: false })
  const log = statSync(`${file}-wal`, { throwIfNoEntry: false })
  if ((stats?.size ?? 0) === 0) {
    if ((log?.size ?? 0) > 0)
      throw new Refusal(
        `The file ${file} is ${stats === undefined ? 'missing' : 'empty'}, but its log ${file}-wal is not: restore the file, or move the log away to start an empty queue`,
      )
    if (stats !== undefined && !stats.isFile()) throw new Refusal(`${file} is not a regular file`)
    if (stats === undefined) {
      // It belongs to a queue that was removed. Next to the new file, which is empty at first, it would count as that of this one.
      // If there was none before, it is the one of a process that has just created the file.
      if (counter !== undefined) rmSync(counterFile(file), { force: true })
    } else if ((counter?.size ?? 0) > 0)
      throw new Refusal(
        `The file ${file} is empty, but its counter ${counterFile(file)} is not: messages are lost. Restore the file, or remove it to start an empty queue`,
      )
    return
  }
  if (stats?.isFile() !== true) throw new Refusal(`${file} is not a regular file`)
  try {
    accessSync(file, constants.R_OK | constants.W_OK)
  } catch (error) {
    throw refusalOf(error, file)
  }
}

/** Removes access for group and others. A file of another user keeps its permissions. */
function restrict(file: string): void {
  for (const name of [file, `${file}-wal`, `${file}-shm`]) {
    const stats = statSync(name, { throwIfNoEntry: false })
    if (stats === undefined || (stats.mode & 0o077) === 0) continue
    if (stats.uid === process.getuid?.()) chmodSync(name, 0o600)
  }
}

function configure(db: Database, reserve: Reserve): void {
  // Only in an empty file: it can't be changed afterwards, and a damaged file must stay as it is.
  if (db.pragma('page_count', { simple: true }) === 0) db.pragma('auto_vacuum = INCREMENTAL')
  const mode = db.pragma('journal_mode = WAL', { simple: true })
  if (mode !== 'wal')
    throw new Refusal(
      `The file system doesn't support SQLite's write-ahead log: put the queue on a local disk`,
    )
  db.pragma('synchronous = FULL')
  // On macOS, fsync() doesn't reach the disk without it; elsewhere it has no effect.
  db.pragma('fullfsync = ON')
  db.pragma('foreign_keys = OFF')
  // Dropped data is overwritten, not only forgotten. The log is emptied by `WriteAheadLog`.
  db.pragma('secure_delete = ON')
  const pageSize = db.pragma('page_size', { simple: true }) as number
  const affordable = Math.floor(reserve.size / LOG_SHARE_OF_RESERVE / pageSize)
  const pages = Math.min(CHECKPOINT_PAGES, affordable)
  db.pragma(`wal_autocheckpoint = ${pages}`)
  db.pragma(`journal_size_limit = ${2 * pages * pageSize}`)
  db.pragma('cache_size = -32768')
}

/** Several processes may start at once, so the transaction that changes the version also checks it. */
function migrate(db: Database, file: string): void {
  db.transaction(() => {
    const version = db.pragma('user_version', { simple: true }) as number
    const application = db.pragma('application_id', { simple: true }) as number
    const tables = db.prepare('SELECT count(*) AS count FROM sqlite_master').get() as { count: number }
    if (application !== APPLICATION_ID && (tables.count > 0 || application !== 0))
      throw new Refusal(`${file} is a database of another program: name another file for the queue`)
    if (version > MIGRATIONS.length)
      throw new Refusal(
        `${file} was written by a newer threadpost (file version ${version}; this one supports up to ${MIGRATIONS.length}): update threadpost`,
      )
    if (version === MIGRATIONS.length) return
    for (const step of MIGRATIONS.slice(version)) db.exec(step)
    db.pragma(`application_id = ${APPLICATION_ID}`)
    db.pragma(`user_version = ${MIGRATIONS.length}`)
  }).immediate()
}

function check(db: Database, file: string): void {
  const pages = db.pragma('page_count', { simple: true }) as number
  const pageSize = db.pragma('page_size', { simple: true }) as number
  if (pages * pageSize > MAX_CHECKED_SIZE) return
  const problems = db.pragma('quick_check(1)', { simple: true })
  if (problems !== 'ok') throw new Refusal(`${file} is damaged: ${String(problems)}`)
}

function refusalOf(error: unknown, file: string): Refusal {
  const { code = '', message } = error as { code?: string; message: string }
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED'))
    return new Refusal(
      `${file} is locked by another program, which didn't release it within ${BUSY_TIMEOUT / 1000} s`,
    )
  if (code === 'SQLITE_NOTADB')
    return new Refusal(`${file} is damaged or not a SQLite file: it doesn't start with SQLite's header`)
  if (code.startsWith('SQLITE_CORRUPT')) return new Refusal(`${file} is damaged: ${message}`)
  if (code.startsWith('SQLITE_READONLY') || code === 'EACCES' || code === 'EROFS' || code === 'EPERM')
    return new Refusal(`${file} isn't writable for this user: ${message}`)
  if (code === 'SQLITE_FULL' || code === 'ENOSPC')
    return new Refusal(`There is no space left for ${file}: ${message}`)
  return new Refusal(`${file} can't be opened: ${message}`)
}

/** Codes of SQLite and Node for a disk, quota or device that rejects a write. */
const STORAGE = /^(?:SQLITE_(?:FULL|IOERR|CANTOPEN)|ENOSPC|EDQUOT|EFBIG|EIO)/
/** Codes for problems with the file as a whole. */
const ENVIRONMENT = /^SQLITE_(?:BUSY|LOCKED|READONLY|NOMEM|CORRUPT|NOTADB|PROTOCOL)|^EROFS/

/** Whether more space may help: the disk is full, or a quota or a failing device rejected a write. */
export function isStorageError(error: unknown): boolean {
  return STORAGE.test(codeOf(error))
}

/** Whether the disk or the file caused the error, not the request. */
export function isEnvironmentError(error: unknown): boolean {
  return isStorageError(error) || ENVIRONMENT.test(codeOf(error))
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code
  return typeof code === 'string' ? code : ''
}
