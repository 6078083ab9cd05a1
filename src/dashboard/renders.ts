import { createHash } from 'node:crypto'
import type { FrameDocument } from '../web/frame.js'

/** Rendered documents kept at a time: a frame asks for its own at once. */
const KEPT = 16

/** Rendered HTML on its way into a frame: a document needs an address of its own to have a policy of its own. */
export class Renders {
  readonly #documents = new Map<string, FrameDocument>()

  /** The same document has the same key, so that a frame that shows it already need not load it again. */
  keep(document: FrameDocument): string {
    const key = createHash('sha256').update(document.html).digest('base64url')
    this.#documents.delete(key)
    this.#documents.set(key, document)
    for (const oldest of this.#documents.keys()) {
      if (this.#documents.size <= KEPT) break
      this.#documents.delete(oldest)
    }
    return key
  }

  get(key: string): FrameDocument | undefined {
    return this.#documents.get(key)
  }
}
