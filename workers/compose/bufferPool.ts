/** Size of a block in bytes: room for dozens of messages. */
const BLOCK = 1024 * 1024
/** Number of free blocks kept for reuse. */
const MAX_FREE = 8

/** The right to read a part of a block. Without a release, the block is left to the garbage collector. */
export interface BufferLease {
  /** Must be called at most once, when nothing will read the bytes again. */
  release(): void
}

/** A block of memory, reused when all its leases are released: allocating fresh memory is slower. */
class Block implements BufferLease {
  readonly bytes = Buffer.allocUnsafeSlow(BLOCK)
  readonly #free: Block[]
  #leases = 0
  #closed = false

  constructor(free: Block[]) {
    this.#free = free
  }

  open(): this {
    this.#closed = false
    return this
  }

  acquire(): void {
    this.#leases++
  }

  release(): void {
    this.#leases--
    this.#reuseIfUnused()
  }

  /** Ends the leasing: the block is free when its last lease is released. */
  close(): void {
    this.#closed = true
    this.#reuseIfUnused()
  }

  #reuseIfUnused(): void {
    if (this.#closed && this.#leases === 0 && this.#free.length < MAX_FREE) this.#free.push(this)
  }
}

/** A growing buffer for one message after another. Each is written where it stays, so that none is copied. */
export class BufferPool {
  bytes: Buffer
  /** Index of the next octet. */
  length = 0
  #start = 0
  #headroom = 0
  readonly #free: Block[] = []
  /** Undefined while a message is being written that is too long for a block. */
  #block: Block | undefined

  constructor() {
    this.#block = new Block(this.#free)
    this.bytes = this.#block.bytes
  }

  /** Number of octets written since `clear()`. */
  get written(): number {
    return this.length - this.#start
  }

  /** Begins a message. @param headroom octets to keep free in front of it */
  clear(headroom = 0): void {
    this.#headroom = headroom
    if (this.#block === undefined || this.length + headroom > BLOCK - 8) {
      this.#block?.close()
      this.#useFreeBlock()
    }
    this.#startAt(this.length + headroom)
  }

  /** Messages start at a multiple of 8, so that they can be read word by word. */
  #startAt(index: number): void {
    this.#start = this.length = (index + 7) & ~7
  }

  /** Ensures that `more` octets fit. */
  reserve(more: number): void {
    if (this.length + more <= this.bytes.length) return
    const written = this.bytes.subarray(this.#start, this.length)
    const needed = this.#headroom + 8 + written.length + more
    this.#block?.close()
    if (needed <= BLOCK) this.#useFreeBlock()
    else {
      this.bytes = Buffer.allocUnsafeSlow(Math.max(needed, written.length * 2))
      this.#block = undefined
    }
    this.#startAt(this.#headroom)
    this.length += written.copy(this.bytes, this.#start)
  }

  /** Appends text in UTF-8. */
  writeText(text: string): void {
    this.reserve(text.length * 3)
    this.length += this.bytes.write(text, this.length, 'utf8')
  }

  writeBytes(octets: Uint8Array): void {
    this.reserve(octets.length)
    this.bytes.set(octets, this.length)
    this.length += octets.length
  }

  /** Returns the octets written since `clear()`. They stay valid until their lease is released. */
  take(): { bytes: Buffer; lease?: BufferLease } {
    const bytes = this.bytes.subarray(this.#start, this.length)
    if (this.#block === undefined) return { bytes }
    this.#block.acquire()
    return { bytes, lease: this.#block }
  }

  #useFreeBlock(): void {
    this.#block = this.#free.pop()?.open() ?? new Block(this.#free)
    this.bytes = this.#block.bytes
    this.length = 0
  }
}
