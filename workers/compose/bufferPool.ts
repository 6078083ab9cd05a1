/** Bytes of memory that some dozen messages share. */
const BLOCK = 1024 * 1024
/** Blocks kept for further messages. */
const MOST_FREE = 8

/** A part of a block. Whoever never gives it back leaves the block to the garbage collector. */
export interface BufferLease {
  /** To be called once, when nobody will read these bytes any more. */
  release(): void
}

/** Memory that is used again once it has been given back as often as it was lent: fresh memory costs the system's work too. */
class Block implements BufferLease {
  readonly bytes = Buffer.allocUnsafeSlow(BLOCK)
  readonly #free: Block[]
  #lent = 0
  #closed = false

  constructor(free: Block[]) {
    this.#free = free
  }

  open(): this {
    this.#closed = false
    return this
  }

  acquire(): void {
    this.#lent++
  }

  release(): void {
    this.#lent--
    this.#rest()
  }

  /** Nothing more is lent of it. */
  close(): void {
    this.#closed = true
    this.#rest()
  }

  #rest(): void {
    if (this.#closed && this.#lent === 0 && this.#free.length < MOST_FREE) this.#free.push(this)
  }
}

/** Octets in the making, one message after another, each written in the place where it stays. */
export class BufferPool {
  bytes: Buffer
  /** Where the next octet goes. */
  length = 0
  #start = 0
  readonly #free: Block[] = []
  /** Undefined while a message is written that is too long for a block. */
  #block: Block | undefined

  constructor() {
    this.#block = new Block(this.#free)
    this.bytes = this.#block.bytes
  }

  clear(): void {
    if (this.#block === undefined) this.#useFreeBlock()
    // Where a message begins words can be read at once.
    this.#start = this.length = (this.length + 7) & ~7
  }

  /** Makes room for so many more. */
  reserve(more: number): void {
    if (this.length + more <= this.bytes.length) return
    const begun = this.bytes.subarray(this.#start, this.length)
    const needed = begun.length + more
    this.#block?.close()
    if (needed <= BLOCK) this.#useFreeBlock()
    else {
      this.bytes = Buffer.allocUnsafeSlow(Math.max(needed, begun.length * 2))
      this.#start = 0
      this.#block = undefined
    }
    this.length = begun.copy(this.bytes, 0)
  }

  /** In UTF-8. */
  writeText(text: string): void {
    this.reserve(text.length * 3)
    this.length += this.bytes.write(text, this.length, 'utf8')
  }

  writeBytes(octets: Uint8Array): void {
    this.reserve(octets.length)
    this.bytes.set(octets, this.length)
    this.length += octets.length
  }

  /** What was written since `clear()`. It stays as it is until its lease is given back. */
  take(): { bytes: Buffer; lease?: BufferLease } {
    const bytes = this.bytes.subarray(this.#start, this.length)
    if (this.#block === undefined) return { bytes }
    this.#block.acquire()
    return { bytes, lease: this.#block }
  }

  #useFreeBlock(): void {
    this.#block = this.#free.pop()?.open() ?? new Block(this.#free)
    this.bytes = this.#block.bytes
    this.#start = this.length = 0
  }
}
