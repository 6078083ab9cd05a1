import { closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs'

/** Bytes of the file: the origin of the outbox, and the number of claims in decimal. */
const LENGTH = 64

/** The counter next to an outbox. */
export function counterFile(file: string): string {
  return `${file}-claims`
}

/**
 * A counter next to the outbox that follows the one inside, so that an older copy of the outbox is recognized: its own
 * counter is behind. What such a copy calls queued may have been sent since the copy was made.
 *
 *     commit that claims messages ──► outbox: claims + n ──► this file: the same number
 *     process died in between, or the machine did: this file is behind, which is fine
 *     a copy was put back:                         this file is ahead, or missing
 */
export class ClaimCounter {
  readonly #file: string
  readonly #origin: string
  #descriptor: number | undefined

  /** @param origin identifies the outbox and its copies */
  constructor(file: string, origin: string) {
    this.#file = counterFile(file)
    this.#origin = origin
  }

  /** Whether messages may have been claimed that the outbox doesn't know of. @param claims number that the outbox has */
  isAhead(claims: number): boolean {
    try {
      const [origin, count] = readFileSync(this.#file, 'latin1').split(' ')
      // The counter of another outbox, which had this name before.
      if (origin === this.#origin) return Number(count) > claims
    } catch {
      // There is none: a new outbox, or a copy in another place.
    }
    return claims > 0
  }

  /** Called after each commit that claimed messages. No fsync: after a power failure the file may be behind. */
  follow(claims: number): void {
    try {
      this.#descriptor ??= openSync(this.#file, constants.O_RDWR | constants.O_CREAT, 0o600)
      writeSync(this.#descriptor, `${this.#origin} ${claims}`.padEnd(LENGTH), 0, 'latin1')
    } catch {
      // The disk is full or fails. The counter falls behind, and a copy may go unnoticed.
    }
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor)
    this.#descriptor = undefined
  }
}
