import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { ARCHIVE_PATIENCE, ArchiveCell, type ArchivePlace } from '../src/protocol/archiveCell.js'
import type { Composed } from './compose/compose.js'
import { LazyMessage } from './compose/lazyMessage.js'
import type { ThreadLog } from './threadLog.js'
import type { SentOctets } from './transports/transport.js'

/** Writes in progress beyond which a delivery waits for its own: the messages stay in memory until they are written. */
const MAX_PENDING = 32

export interface ArchivedMessage {
  id: string
  attempt: number
  uncertain: boolean
  octets: SentOctets
}

/**
 * Writes sent messages into the archive, as `YYYY-MM-DD/TIME-ID-ATTEMPT.eml`. A file is complete or absent. A failure concerns
 * the archive only, never the message.
 */
export class ArchiveWriter {
  readonly #dir: string
  readonly #cell: ArchiveCell
  readonly #log: ThreadLog
  readonly #maxPending: number
  readonly #pending = new Set<Promise<void>>()

  /** @param isolated the thread ends with the delivery, which therefore waits for the file */
  constructor({ dir, cell }: ArchivePlace, log: ThreadLog, isolated: boolean) {
    this.#dir = dir
    this.#maxPending = isolated ? 0 : MAX_PENDING
    this.#cell = new ArchiveCell(cell)
    this.#log = log
  }

  /**
   * Begins to write a message. Never rejects.
   * @param release called once when its octets are not needed any more
   * @returns resolves when the caller may go on
   */
  async store(message: ArchivedMessage, release: () => void): Promise<void> {
    const side = this.#cell.begin()
    const writing = this.#store(message).finally(() => {
      this.#cell.end(side)
      this.#pending.delete(writing)
      release()
    })
    this.#pending.add(writing)
    if (this.#pending.size > this.#maxPending) await atMost(writing)
  }

  /** Resolves when everything is written. */
  async close(): Promise<void> {
    await atMost(Promise.all(this.#pending))
  }

  async #store({ id, attempt, uncertain, octets }: ArchivedMessage): Promise<void> {
    try {
      const [day = '', time = ''] = new Date().toISOString().split('T')
      const suffix = uncertain ? '-uncertain' : ''
      const name = `${time.replace(/\D/g, '')}-${id.replace(/[^\w-]/g, '_')}-${attempt}${suffix}.eml`
      await write(path.join(this.#dir, day), name, octets)
    } catch (error) {
      const { code = 'an error' } = error as NodeJS.ErrnoException
      if (this.#cell.failed())
        this.#log.write('error', { code, id }, 'Messages are sent, but writing them to the archive fails')
      return
    }
    if (this.#cell.stored()) this.#log.write('info', {}, 'Messages are archived again')
  }
}

async function atMost(work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise((resolve) => (timer = setTimeout(resolve, ARCHIVE_PATIENCE)))
  await Promise.race([work, timeout])
  clearTimeout(timer)
}

/** Writes under a temporary name first, because a rename is atomic. Removes the incomplete file of a failed write. */
async function write(folder: string, name: string, octets: SentOctets): Promise<void> {
  const temporary = path.join(folder, `.${name}.part`)
  const handle = await create(folder, temporary)
  try {
    try {
      await writeAll(handle, octets)
    } finally {
      await handle.close()
    }
    await rename(temporary, path.join(folder, name))
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined)
    throw error
  }
}

async function create(folder: string, file: string): Promise<FileHandle> {
  try {
    return await open(file, 'w', 0o600)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    await mkdir(folder, { recursive: true, mode: 0o700 })
    return open(file, 'w', 0o600)
  }
}

/** Each write goes on where the last one ended. */
async function writeAll(handle: FileHandle, octets: SentOctets): Promise<void> {
  if (octets instanceof LazyMessage) for (const part of octets) await handle.writeFile(part)
  else if (typeof octets === 'function') await handle.writeFile(await octets())
  else await handle.writeFile(Buffer.isBuffer(octets) ? octets : octets.bytes)
}

/** Has the memory of a message released when both its transport and the archive have released it. */
export function shareLease(composed: Composed): [composed: Composed, release: () => void] {
  const { lease } = composed
  if (lease === undefined) return [composed, () => undefined]
  let readers = 2
  const release = (): void => {
    if (--readers === 0) lease.release()
  }
  const shared =
    composed instanceof LazyMessage ? composed.withLease({ release }) : { ...composed, lease: { release } }
  return [shared, release]
}
