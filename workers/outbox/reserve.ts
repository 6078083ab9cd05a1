import { randomFillSync } from 'node:crypto'
import { closeSync, openSync, statfsSync, statSync, truncateSync, writeSync } from 'node:fs'
import path from 'node:path'

/** The reserve is 1/16 of the disk, within these limits in bytes; and no more than 1/16 of what a file may have. */
const SHARE = 16
const MIN_SIZE = 512 * 1024
const MAX_SIZE = 16 * 1024 * 1024
const CHUNK = 512 * 1024

/**
 * Space set aside for accepted messages: a file of allocated blocks next to the outbox. The deliverer returns it to the disk
 * when nothing else is left, because claiming, settling and deleting a message all need space in the log. Nothing is accepted
 * unless the reserve is whole.
 *
 * Its size depends on the disk, and on the limit for files, so that all processes on one file agree on it, before and after
 * a restart.
 */
export class Reserve {
  /** Size of the whole reserve in bytes. */
  readonly size: number
  readonly #file: string
  readonly #folder: string

  /**
   * @param outbox path of the SQLite file
   * @param fileLimit bytes: see `fileSizeLimit()`
   */
  constructor(outbox: string, fileLimit: number) {
    this.#file = `${outbox}-reserve`
    this.#folder = path.dirname(outbox)
    const share = Math.floor(this.#disk().total / SHARE)
    const size = Math.min(MAX_SIZE, Math.max(MIN_SIZE, share))
    this.size = Math.min(size, Math.floor(fileLimit / SHARE))
  }

  get whole(): boolean {
    return this.#allocated() >= this.size
  }

  /** Returns the free bytes that this user has on the disk; Infinity if the file system doesn't report them. */
  free(): number {
    return this.#disk().free
  }

  /**
   * Makes the reserve whole. Its bytes are random, because a compressing file system would allocate nothing for zeros. If
   * it doesn't fit, its new part is released at once, since other programs may need the space.
   * @returns whether the reserve is whole
   */
  restore(): boolean {
    const allocated = this.#allocated()
    if (allocated >= this.size) return true
    if (this.free() < this.size - allocated) return false
    const chunk = randomFillSync(Buffer.allocUnsafe(CHUNK))
    let descriptor: number | undefined
    try {
      descriptor = openSync(this.#file, allocated === 0 ? 'w' : 'r+', 0o600)
      for (let at = allocated; at < this.size;) {
        const written = writeSync(descriptor, chunk, 0, Math.min(CHUNK, this.size - at), at)
        if (written === 0) throw new Error('nothing was written')
        at += written
      }
      closeSync(descriptor)
      return true
    } catch {
      if (descriptor !== undefined) closeQuietly(descriptor)
      this.#shrinkTo(allocated)
      return false
    }
  }

  /** Returns this many bytes to the disk. @param bytes all of them by default */
  release(bytes = Infinity): void {
    const allocated = this.#allocated()
    if (allocated > 0) this.#shrinkTo(Math.max(0, allocated - bytes))
  }

  #allocated(): number {
    return statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0
  }

  #shrinkTo(bytes: number): void {
    try {
      truncateSync(this.#file, bytes)
    } catch {
      // The file doesn't exist, or the disk is read-only: then there is nothing to return.
    }
  }

  #disk(): { total: number; free: number } {
    try {
      const { bsize, blocks, bavail } = statfsSync(this.#folder)
      if (blocks > 0) return { total: bsize * blocks, free: bsize * bavail }
    } catch {
      // Some network file systems don't report it.
    }
    return { total: Infinity, free: Infinity }
  }
}

function closeQuietly(descriptor: number): void {
  try {
    closeSync(descriptor)
  } catch {
    // The earlier error is the one that matters.
  }
}
