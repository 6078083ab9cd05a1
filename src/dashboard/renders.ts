import { randomUUID } from 'node:crypto'

/** Rendered documents kept at a time: a frame asks for its own at once. */
const KEPT = 16

/** Rendered HTML on its way into a frame: a document needs an address of its own to have a policy of its own. */
export class Renders {
  readonly #documents = new Map<string, string>()

  keep(html: string): string {
    const key = randomUUID()
    this.#documents.set(key, html)
    for (const oldest of this.#documents.keys()) {
      if (this.#documents.size <= KEPT) break
      this.#documents.delete(oldest)
    }
    return key
  }

  get(key: string): string | undefined {
    return this.#documents.get(key)
  }
}
