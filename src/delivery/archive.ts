import { mkdir, open, readdir, rm, rmdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { Clock } from '../clock.js'
import { ThreadpostError } from '../errors.js'
import { ConditionLog } from '../logging/conditionLog.js'
import type { Logger } from '../logging/logger.js'
import {
  ARCHIVE_PATIENCE,
  ArchiveCell,
  type ArchivePlace,
  type ArchiveStatus,
} from '../protocol/archiveCell.js'
import type { ResolvedOptions } from '../resolvedOptions.js'
import type { Validator } from '../validation.js'

/** Options of `archive`. */
export interface ArchiveOptions {
  /** The folder, which is created if it is missing. It should have no other files. */
  dir: string
  /** Time in milliseconds after which messages are removed, a whole day (UTC) at a time. @default 2_592_000_000 (30 days) */
  maxAge?: number
  /** Size in bytes beyond which the oldest messages are removed, every ten minutes. @default 10_000_000_000 (10 GB) */
  maxSize?: number
}

/** The validated option `archive`, with an absolute path. */
export type ArchivePlan = Required<ArchiveOptions>

const DAY = 24 * 60 * 60 * 1000
/** Milliseconds between two removals. */
const INTERVAL = 10 * 60 * 1000

/** Checks the option `archive` and fills in the defaults. */
export function resolveArchive(check: Validator, value: unknown): ArchivePlan {
  const short = typeof value === 'string'
  const archive = short ? { dir: value } : check.object(value, 'archive', ['dir', 'maxAge', 'maxSize'])
  const field = short ? 'archive' : 'archive.dir'
  const dir = check.string('dir' in archive ? archive['dir'] : undefined, field)
  if (dir === '' || dir.includes('\0')) check.fail(field, 'must be the path of a folder')
  const { maxAge = 30 * DAY, maxSize = 10_000_000_000 } = archive
  return {
    dir: path.resolve(dir),
    maxAge: check.duration(maxAge, 'archive.maxAge', 1),
    maxSize: check.integer(maxSize, 'archive.maxSize', 1),
  }
}

/** The file of a message, and its id as a part of the name. */
const MESSAGE_NAME = /^\d{9}-([\w-]+)-\d+(?:-uncertain)?\.eml$/
const DAY_NAME = /^\d{4}-\d\d-\d\d$/
/** A message, or one that a killed process left incomplete. */
const FILE_NAME = /^\.?\d{9}-[\w-]+\.eml(?:\.part)?$/

/** The folder in which the threads keep the messages as they were sent; removes the oldest ones. */
export class Archive {
  readonly place: ArchivePlace
  readonly #plan: ArchivePlan
  readonly #clock: Clock
  readonly #failures: ConditionLog
  /** The bytes of each day, and when its folder last changed: past days are not read again. */
  readonly #sizes = new Map<string, { changed: number; bytes: number }>()
  #timer: NodeJS.Timeout | undefined
  #pruning: Promise<void> | undefined

  private constructor(plan: ArchivePlan, clock: Clock, logger: Logger) {
    this.#plan = plan
    this.#clock = clock
    this.#failures = new ConditionLog(logger, {
      begins: 'Old messages can’t be removed from the archive',
      level: 'warn',
      ends: 'Old messages are removed from the archive again',
    })
    this.place = { dir: plan.dir, cell: ArchiveCell.allocate() }
  }

  /** @throws ThreadpostError `START_FAILED` if the folder can't be written */
  static async open(plan: ArchivePlan, clock: Clock, logger: Logger): Promise<Archive> {
    try {
      // Mail is private. A folder that exists keeps its permissions.
      await mkdir(plan.dir, { recursive: true, mode: 0o700 })
      const probe = path.join(plan.dir, `.probe-${process.pid}-${Math.random().toString(36).slice(2)}`)
      await (await open(probe, 'wx', 0o600)).close()
      await rm(probe)
    } catch (error) {
      const { code = 'unknown error' } = error as NodeJS.ErrnoException
      throw new ThreadpostError(
        'START_FAILED',
        `archive: the folder can't be written (${code}). Grant this user write access, or choose another folder`,
        { path: 'archive', cause: error },
      )
    }
    return new Archive(plan, clock, logger)
  }

  /** Removes old messages now and at intervals. */
  start(): void {
    const prune = (): void => {
      this.#pruning ??= this.prune().finally(() => (this.#pruning = undefined))
    }
    this.#timer = setInterval(prune, INTERVAL).unref()
    prune()
  }

  status(): ArchiveStatus {
    return new ArchiveCell(this.place.cell).read()
  }

  /** Resolves when the files that were in progress are complete, after 10 seconds at the latest. */
  async written(): Promise<void> {
    const cell = new ArchiveCell(this.place.cell)
    const deadline = performance.now() + ARCHIVE_PATIENCE
    // Twice, because a thread may have read the side just before it changed.
    for (let round = 0; round < 2; round++) {
      const side = cell.changeSides()
      while (cell.isWriting(side) && performance.now() < deadline) await setTimeout(10)
      if (cell.isWriting(side)) cell.forget(side)
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#pruning
    this.#failures.close()
  }

  /** Removes the days that are too old, then the oldest messages until the rest is small enough. Never rejects. */
  async prune(): Promise<void> {
    try {
      await this.#prune()
      this.#failures.end()
    } catch (error) {
      const { code = 'unknown error' } = error as NodeJS.ErrnoException
      this.#failures.begin({ code })
    }
  }

  async #prune(): Promise<void> {
    const { dir, maxAge, maxSize } = this.#plan
    const entries = await readdir(dir, { withFileTypes: true })
    const names = entries.filter((entry) => entry.isDirectory() && DAY_NAME.test(entry.name))
    const days = names.map(({ name }) => name).toSorted()
    const current: string[] = []
    for (const day of days) {
      const old = Date.parse(day) + DAY + maxAge <= this.#clock.now()
      if (old) await this.#remove(day, Infinity)
      else current.push(day)
    }
    let excess = -maxSize
    for (const day of current) excess += await this.#sizeOf(day)
    for (const day of current) {
      if (excess <= 0) return
      excess -= await this.#remove(day, excess)
    }
  }

  /** Removes the oldest files of a day, of as many bytes at least. @returns the bytes that were removed */
  async #remove(day: string, bytes: number): Promise<number> {
    this.#sizes.delete(day)
    const folder = path.join(this.#plan.dir, day)
    let removed = 0
    for (const name of await filesOf(folder)) {
      if (removed >= bytes) return removed
      const file = path.join(folder, name)
      removed += await sizeOf(file)
      await rm(file, { force: true })
    }
    // Fails if there are other files, or if a message has just been written.
    await rmdir(folder).catch(() => undefined)
    return removed
  }

  async #sizeOf(day: string): Promise<number> {
    const folder = path.join(this.#plan.dir, day)
    const { mtimeMs: changed } = await stat(folder)
    const known = this.#sizes.get(day)
    if (known?.changed === changed) return known.bytes
    let bytes = 0
    for (const name of await filesOf(folder)) bytes += await sizeOf(path.join(folder, name))
    this.#sizes.set(day, { changed, bytes })
    return bytes
  }
}

/** Opens the archive of a mailer that delivers, and begins to remove old messages. */
export async function openArchive(
  { archive: plan, role, logger }: Pick<ResolvedOptions, 'archive' | 'role' | 'logger'>,
  clock: Clock,
): Promise<Archive | undefined> {
  if (plan === undefined || role === 'send') return undefined
  const archive = await Archive.open(plan, clock, logger)
  archive.start()
  return archive
}

/** The messages in an archive, with the part of their ids that is in the names of their files. */
export async function* archivedMessages(dir: string): AsyncGenerator<{ file: string; id: string }> {
  const days = (await readdir(dir)).filter((name) => DAY_NAME.test(name))
  for (const day of days)
    for (const name of await readdir(path.join(dir, day))) {
      const id = MESSAGE_NAME.exec(name)?.[1]
      if (id !== undefined) yield { file: path.join(dir, day, name), id }
    }
}

/** The oldest first: names begin with the time. */
async function filesOf(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => FILE_NAME.test(name))
  return names.toSorted((a, b) => (a.replace(/^\./, '') < b.replace(/^\./, '') ? -1 : 1))
}

/** 0 if another process has removed the file. */
async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0
    throw error
  }
}
