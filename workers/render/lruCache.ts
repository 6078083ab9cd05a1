import { createHash } from 'node:crypto'

/** A bounded cache. A full cache evicts the entry that has been unused for the longest time. */
export class LruCache<T> {
  readonly #entries = new Map<string, T>()
  #newest: string | undefined

  constructor(private readonly capacity: number) {}

  get(key: string): T | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined || key === this.#newest) return entry
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    this.#newest = key
    return entry
  }

  set(key: string, entry: T): void {
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    this.#newest = key
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.capacity) break
      this.#entries.delete(oldest)
    }
  }

  delete(key: string): void {
    this.#entries.delete(key)
  }
}

/** Returns a hash of the texts. It differs if any text differs, or if they are divided differently. */
export function contentHash(...texts: readonly string[]): string {
  const hash = createHash('sha256')
  for (const text of texts) hash.update(`${text.length}:`).update(text)
  return hash.digest('base64url')
}
