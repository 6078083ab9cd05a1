import { allocateOctets, copyOctets } from '../protocol/octets.js'
import type { CollectedMessage } from './submittedMessage.js'

/** Octets that are kept free in front of a message, for the fields that are added to its header. */
const HEADROOM = 1024
const FIRST = HEADROOM + 32 * 1024
/** Memory that most messages fit into. It is used again and again. */
const spare: Buffer[] = []
const MAX_SPARE = 64
/** The memory grows by this factor, so that little is copied. */
const GROWTH = 4
/** A message below this length is copied to memory of its length. What a larger one leaves unused takes no memory. */
const LARGE = 1024 * 1024
const NONE = allocateOctets(0)

/**
 * Collects the octets of a message in one place, where they stay until they are sent. A client that sends single octets thereby takes
 * no more memory than any other.
 */
export class OctetCollector {
  readonly #stated: number
  readonly #most: number
  #memory = NONE
  #end = HEADROOM

  /**
   * @param stated the length that the client states (RFC 1870), or 0
   * @param most octets that a message may have
   */
  constructor(stated: number, most: number) {
    this.#most = HEADROOM + most
    this.#stated = Math.min(HEADROOM + stated, this.#most)
  }

  /** @returns false if there is no memory left */
  add(chunk: Uint8Array): boolean {
    const end = this.#end + chunk.length
    if (end > this.#memory.length && !this.#grow(end)) return false
    this.#memory.set(chunk, this.#end)
    this.#end = end
    return true
  }

  /** Returns the message, and forgets it. */
  take(): CollectedMessage {
    const used = this.#memory.subarray(0, this.#end)
    const memory = this.#end < LARGE ? copyOctets(used) : used
    this.clear()
    return { octets: memory.subarray(HEADROOM), headroom: HEADROOM }
  }

  clear(): void {
    this.#replace(NONE)
    this.#end = HEADROOM
  }

  #replace(memory: Buffer): void {
    if (this.#memory.length === FIRST && spare.length < MAX_SPARE) spare.push(this.#memory)
    this.#memory = memory
  }

  #grow(least: number): boolean {
    const length = Math.max(least, FIRST, this.#stated, Math.min(GROWTH * this.#memory.length, this.#most))
    try {
      const grown = (length === FIRST ? spare.pop() : undefined) ?? allocateOctets(length)
      grown.set(this.#memory.subarray(0, this.#end))
      this.#replace(grown)
      return true
    } catch {
      return false
    }
  }
}
