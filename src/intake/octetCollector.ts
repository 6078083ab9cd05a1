const BLOCK = 64 * 1024

/**
 * Collects the octets of a message in blocks. A client that sends single octets thereby takes no more memory than any other, and the
 * message becomes one string without a second copy of all of it.
 */
export class OctetCollector {
  #blocks: Buffer[] = []
  #used = BLOCK

  add(chunk: Uint8Array): void {
    for (let from = 0; from < chunk.length;) {
      if (this.#used === BLOCK) {
        this.#blocks.push(Buffer.allocUnsafeSlow(BLOCK))
        this.#used = 0
      }
      const end = Math.min(chunk.length, from + BLOCK - this.#used)
      this.#blocks.at(-1)!.set(chunk.subarray(from, end), this.#used)
      this.#used += end - from
      from = end
    }
  }

  /** Returns the octets, one for each character, and forgets them. */
  take(): string {
    const last = this.#blocks.length - 1
    const text = this.#blocks
      .map((block, index) => block.toString('latin1', 0, index === last ? this.#used : BLOCK))
      .join('')
    this.clear()
    return text
  }

  clear(): void {
    this.#blocks = []
    this.#used = BLOCK
  }
}
