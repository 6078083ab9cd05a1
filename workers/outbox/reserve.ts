import { randomFillSync } from 'node:crypto'
import { closeSync, openSync, statfsSync, statSync, truncateSync, writeSync } from 'node:fs'
import path from 'node:path'

/** The reserve is this part of the disk, within these bytes. */
const SHARE = 16
const SMALLEST = 512 * 1024
const LARGEST = 16 * 1024 * 1024
const CHUNK = 512 * 1024

/**
 * Space set aside for messages that were accepted: a file of real blocks beside the outbox. The deliverer gives it
 * back to the disk when nothing else is left, because claiming, settling and deleting a message all need room in
 * the log. Nothing is accepted unless the reserve is whole.
 *
 * Its size depends on the disk alone, so that all processes on one file agree on it, before and after a restart.
 */
export class Reserve {
  /** Bytes of the reserve when it is whole. */
  readonly size: number
  readonly #file: string
  readonly #folder: string

  /** @param outbox path of the SQLite file */
  constructor(outbox: string) {
    this.#file = `${outbox}-reserve`
    this.#folder = path.dirname(outbox)
    const share = Math.floor(this.#disk().total / SHARE)
    this.size = Math.min(LARGEST, Math.max(SMALLEST, share))
  }

  get whole(): boolean {
    return this.#held() >= this.size
  }

  /** Bytes that the disk still has for this user; Infinity where the file system does not say. */
  free(): number {
    return this.#disk().free
  }

  /**
   * Makes the reserve whole. Its bytes are random, because a file system that compresses would set nothing aside
   * for zeros. A part that doesn't fit is given back at once: somebody may need it more.
   * @returns whether the reserve is whole
   */
  restore(): boolean {
    const held = this.#held()
    if (held >= this.size) return true
    if (this.free() < this.size - held) return false
    const chunk = randomFillSync(Buffer.allocUnsafe(CHUNK))
    let descriptor: number | undefined
    try {
      descriptor = openSync(this.#file, held === 0 ? 'w' : 'r+', 0o600)
      for (let at = held; at < this.size;) {
        const written = writeSync(descriptor, chunk, 0, Math.min(CHUNK, this.size - at), at)
        if (written === 0) throw new Error('nothing was written')
        at += written
      }
      closeSync(descriptor)
      return true
    } catch {
      if (descriptor !== undefined) closeQuietly(descriptor)
      this.#shrinkTo(held)
      return false
    }
  }

  /** Gives this many bytes back to the disk. @param bytes all of them by default */
  release(bytes = Infinity): void {
    const held = this.#held()
    if (held > 0) this.#shrinkTo(Math.max(0, held - bytes))
  }

  #held(): number {
    return statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0
  }

  #shrinkTo(bytes: number): void {
    try {
      truncateSync(this.#file, bytes)
    } catch {
      // It is not there, or the disk is read-only: then there is nothing to give back.
    }
  }

  #disk(): { total: number; free: number } {
    try {
      const { bsize, blocks, bavail } = statfsSync(this.#folder)
      if (blocks > 0) return { total: bsize * blocks, free: bsize * bavail }
    } catch {
      // Some network file systems do not say.
    }
    return { total: Infinity, free: Infinity }
  }
}

function closeQuietly(descriptor: number): void {
  try {
    closeSync(descriptor)
  } catch {
    // The error that led here is the one that counts.
  }
}
