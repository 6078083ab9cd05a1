import { ThreadpostError } from '../errors.js'
import type { Catalogue, TemplateManifest } from '../wire/templates.js'

/** Milliseconds between two looks at the folder, however often a template is asked for in vain. */
const PAUSE = 250

/** Whether it is a refusal that a changed file may have made untrue. */
export function mayBeStale(error: unknown): boolean {
  return (
    error instanceof ThreadpostError && (error.code === 'UNKNOWN_TEMPLATE' || error.code === 'MISSING_DATA')
  )
}

/**
 * What the main thread knows of the templates. A file may have changed since, so that a refusal is made only after a
 * fresh look at the folder; mail that is accepted never waits for one.
 */
export class TemplateBook {
  readonly manifests = new Map<string, TemplateManifest>()
  readonly #read: () => Promise<Catalogue>
  #reading: Promise<boolean> | undefined
  #readAt = -PAUSE

  constructor(catalogue: Catalogue, read: () => Promise<Catalogue>) {
    this.#read = read
    this.#learn(catalogue)
  }

  /** Runs the work, and once more after a fresh look if it fails for a template that is unknown or lacks data. */
  upToDate<T>(work: () => T): T | Promise<T> {
    try {
      return work()
    } catch (error) {
      if (!mayBeStale(error)) throw error
      return this.refresh().then((fresh) => {
        if (!fresh) throw error
        return work()
      })
    }
  }

  /** @returns whether there was a fresh look; it may fail, and then what was known stays. */
  refresh(): Promise<boolean> {
    if (performance.now() - this.#readAt < PAUSE) return this.#reading ?? Promise.resolve(false)
    this.#readAt = performance.now()
    const reading = this.#read().then(
      (catalogue) => {
        this.#learn(catalogue)
        return true
      },
      () => false,
    )
    this.#reading = reading
    return reading
  }

  /** A fresh look at once, after which what was known before counts no more. */
  async reread(): Promise<void> {
    this.#readAt = performance.now()
    this.#learn(await this.#read())
  }

  #learn({ templates }: Catalogue): void {
    this.manifests.clear()
    for (const manifest of templates) this.manifests.set(manifest.name, manifest)
  }
}
