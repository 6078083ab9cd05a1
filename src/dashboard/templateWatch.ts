import { type Dirent, type FSWatcher, watch } from 'node:fs'
import { readdir } from 'node:fs/promises'
import path from 'node:path'

/** Folders watched at most: the root first. Where there are more, a change in the rest shows on the next look. */
const MAX_FOLDERS = 64
/** Milliseconds without a further change after which one is told: editors write a file in several steps. */
const QUIET = 120
/** Milliseconds after which it is told once more: a thread looks for changed files only now and then. */
const AGAIN = 1_000

/** Tells when something in a folder changes. It watches only between `start()` and `stop()`. */
export class TemplateWatch {
  readonly #root: string
  readonly #changed: () => void
  readonly #watchers = new Map<string, FSWatcher>()
  #watching = false
  #timer: NodeJS.Timeout | undefined

  constructor(root: string, changed: () => void) {
    this.#root = root
    this.#changed = changed
  }

  start(): void {
    if (this.#watching) return
    this.#watching = true
    void this.#spread()
  }

  stop(): void {
    this.#watching = false
    clearTimeout(this.#timer)
    for (const watcher of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
  }

  /** Folders come and go, too. */
  async #spread(): Promise<void> {
    const folders = [this.#root]
    for (const folder of folders) {
      if (!this.#watching || folders.length > MAX_FOLDERS) break
      this.#watch(folder)
      for (const entry of await entriesOf(folder))
        if (entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules')
          folders.push(path.join(folder, entry.name))
    }
  }

  #watch(folder: string): void {
    if (this.#watchers.has(folder)) return
    try {
      const watcher = watch(folder, () => this.#stir())
      watcher.on('error', () => {
        watcher.close()
        this.#watchers.delete(folder)
      })
      this.#watchers.set(folder, watcher)
    } catch {
      // It is gone again, or the system has no watcher left: then the page's own button renders anew.
    }
  }

  #stir(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      void this.#spread()
      this.#changed()
      this.#timer = setTimeout(this.#changed, AGAIN)
    }, QUIET)
  }
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  return readdir(folder, { withFileTypes: true }).catch(() => [])
}
