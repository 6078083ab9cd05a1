/** Wrong tokens from one address within the window, beyond which it has to wait. */
const MOST = 20
const WINDOW = 60_000
/** Addresses kept in mind; beyond that the one that has been there longest is forgotten. */
const MOST_ADDRESSES = 10_000

/** Counts wrong tokens by address, so that guessing is slow. */
export class Throttle {
  readonly #failures = new Map<string, { count: number; since: number }>()

  /** Seconds the address has to wait; 0 when it may try. */
  wait(address: string): number {
    const known = this.#failures.get(address)
    if (known === undefined || known.count < MOST) return 0
    return Math.max(0, Math.ceil((known.since + WINDOW - Date.now()) / 1000))
  }

  failed(address: string): void {
    const now = Date.now()
    const known = this.#failures.get(address)
    if (known !== undefined && known.since + WINDOW > now) {
      known.count++
      return
    }
    this.#failures.delete(address)
    const [oldest] = this.#failures.keys()
    if (this.#failures.size >= MOST_ADDRESSES && oldest !== undefined) this.#failures.delete(oldest)
    this.#failures.set(address, { count: 1, since: now })
  }
}
