/** Milliseconds that a delivery, or the end of a thread, waits for a disk that hangs. */
export const ARCHIVE_PATIENCE = 10_000

/** Where the threads of a mailer archive messages, and the memory in which they count them. */
export interface ArchivePlace {
  /** Absolute path. */
  dir: string
  cell: SharedArrayBuffer
}

/** The state of an archive in this process. */
export interface ArchiveStatus {
  /** Number of messages written. */
  stored: number
  /** Number of messages that could not be written. They were sent, and the archive does not have them. */
  failed: number
  /** Whether writing has failed, and has not worked again since for a minute. */
  failing: boolean
  /** Time since which writing fails, ISO 8601; present while it does. */
  failingSince?: string
}

const STORED = 0
const FAILED = 1
/** When a write last failed, in ms since the epoch; 0 if writing works. */
const FAILED_AT = 2
/** When writing began to fail; it means something only while writing fails. */
const FAILING_SINCE = 3
/** Which of two counters of files in progress new files are counted in. */
const SIDE = 4
const WRITING = 5
/** Milliseconds without a failure after which writing works again. */
const QUIET = 60_000

/** Counts what all threads of a mailer archive, and follows whether that works: it fails for all of them at once. */
export class ArchiveCell {
  readonly #cells: BigInt64Array

  constructor(memory: SharedArrayBuffer) {
    this.#cells = new BigInt64Array(memory)
  }

  static allocate(): SharedArrayBuffer {
    return new SharedArrayBuffer(7 * BigInt64Array.BYTES_PER_ELEMENT)
  }

  /** A file is about to be written. @returns its side, for `end()` */
  begin(): number {
    const side = Number(Atomics.load(this.#cells, SIDE))
    Atomics.add(this.#cells, WRITING + side, 1n)
    return side
  }

  end(side: number): void {
    const forgotten = Atomics.sub(this.#cells, WRITING + side, 1n) <= 0n
    if (forgotten) Atomics.add(this.#cells, WRITING + side, 1n)
  }

  /** Counts new files on the other side, so that those in progress can be waited for. @returns their side, for `isWriting()` */
  changeSides(): number {
    return Number(Atomics.xor(this.#cells, SIDE, 1n))
  }

  isWriting(side: number): boolean {
    return Atomics.load(this.#cells, WRITING + side) > 0n
  }

  /** A thread that dies never ends its files. */
  forget(side: number): void {
    Atomics.store(this.#cells, WRITING + side, 0n)
  }

  /** @returns whether writing works again after it failed */
  stored(): boolean {
    Atomics.add(this.#cells, STORED, 1n)
    const failedAt = Atomics.load(this.#cells, FAILED_AT)
    if (failedAt === 0n || BigInt(Date.now()) - failedAt < QUIET) return false
    return Atomics.compareExchange(this.#cells, FAILED_AT, failedAt, 0n) === failedAt
  }

  /** @returns whether writing worked before */
  failed(): boolean {
    Atomics.add(this.#cells, FAILED, 1n)
    const now = BigInt(Date.now())
    // Before it counts as failing, so that no reader sees an earlier time.
    if (Atomics.load(this.#cells, FAILED_AT) === 0n) Atomics.store(this.#cells, FAILING_SINCE, now)
    return Atomics.exchange(this.#cells, FAILED_AT, now) === 0n
  }

  read(): ArchiveStatus {
    const failing = Atomics.load(this.#cells, FAILED_AT) !== 0n
    const since = Number(Atomics.load(this.#cells, FAILING_SINCE))
    return {
      stored: Number(Atomics.load(this.#cells, STORED)),
      failed: Number(Atomics.load(this.#cells, FAILED)),
      failing,
      ...(failing ? { failingSince: new Date(since).toISOString() } : {}),
    }
  }
}
