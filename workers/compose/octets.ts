/** Bytes of memory that some dozen messages share. */
const BLOCK = 1024 * 1024

/** Octets in the making: one buffer that is used again for each message, and grows as it must. */
export class Octets {
  bytes: Buffer = Buffer.allocUnsafeSlow(64 * 1024)
  length = 0
  #block: Buffer = Buffer.alloc(0)
  #used = 0

  clear(): void {
    this.length = 0
  }

  /** Makes room for so many more. */
  reserve(more: number): void {
    const needed = this.length + more
    if (needed <= this.bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2))
    this.bytes.copy(larger, 0, 0, this.length)
    this.bytes = larger
  }

  /** In UTF-8. */
  text(text: string): void {
    this.reserve(text.length * 3)
    this.length += this.bytes.write(text, this.length, 'utf8')
  }

  octets(octets: Buffer): void {
    this.reserve(octets.length)
    this.length += octets.copy(this.bytes, this.length)
  }

  /** What was written. Messages share blocks of memory: one for each would keep the garbage collector busy. */
  take(): Buffer {
    if (this.length > BLOCK / 8) return Buffer.from(this.bytes.subarray(0, this.length))
    if (this.#block.length - this.#used < this.length) {
      this.#block = Buffer.allocUnsafeSlow(BLOCK)
      this.#used = 0
    }
    const taken = this.#block.subarray(this.#used, this.#used + this.length)
    this.bytes.copy(taken, 0, 0, this.length)
    // Where the next one begins words can be read at once.
    this.#used = (this.#used + this.length + 7) & ~7
    return taken
  }
}
