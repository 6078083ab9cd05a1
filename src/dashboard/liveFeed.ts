import { type Dirent, type FSWatcher, watch } from 'node:fs'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import type { Response } from 'express'
import { type Mailer, ThreadpostError } from '../index.js'
import { type EventStream, EventStreams } from '../web/eventStream.js'
import { RecentOutcomes } from './recentOutcomes.js'
import type { Tick } from './viewModels.js'

/** Folders watched at most: the root first. Where there are more, a change in the rest shows on the next look. */
const MAX_FOLDERS = 64
/** Milliseconds without a further change after which one is told: editors write a file in several steps. */
const QUIET = 120
/** Milliseconds after which it is told once more: a thread looks for changed files only now and then. */
const AGAIN = 1_000

/** Tells when something in a folder changes. It watches only between `start()` and `stop()`. */
class TemplateWatcher {
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

/** Milliseconds between two looks at the mailer. */
const BEAT = 1_000

/**
 * Server-sent events for open pages: how the mailer fares, once a second, and that templates changed. While nobody looks
 * nothing is asked, counted or watched. It ends with the last page, or when the mailer is closed.
 */
export class LiveFeed {
  readonly #mailer: Mailer
  readonly #streams = new EventStreams()
  readonly #outcomes: RecentOutcomes
  readonly #previews = new Set<EventStream>()
  readonly #templates: TemplateWatcher | undefined
  #timer: NodeJS.Timeout | undefined
  #asking = false

  constructor(mailer: Mailer) {
    this.#mailer = mailer
    this.#outcomes = new RecentOutcomes(mailer)
    const { templateFolder } = mailer
    if (templateFolder !== undefined)
      this.#templates = new TemplateWatcher(templateFolder, () => tell(this.#previews, 'templates', {}))
  }

  async join(response: Response, { templates = false } = {}): Promise<void> {
    // Before there is a stream, so that what can't be asked is a problem.
    const first = await this.#look()
    const stream = this.#streams.open(response)
    if (stream === undefined) return
    if (templates) {
      this.#previews.add(stream)
      this.#templates?.start()
    }
    stream.onClose(() => this.#leave(stream))
    stream.send(first, 'tick')
    this.#timer ??= setInterval(() => void this.#beat(), BEAT).unref()
  }

  #leave(stream: EventStream): void {
    this.#previews.delete(stream)
    if (this.#previews.size === 0) this.#templates?.stop()
    if (this.#streams.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  async #look(): Promise<Tick> {
    const stats = await this.#mailer.stats()
    return { at: Date.now(), stats, recent: await this.#outcomes.recent(stats) }
  }

  async #beat(): Promise<void> {
    // A queue that is slow to answer is not asked again meanwhile.
    if (this.#asking) return
    this.#asking = true
    try {
      tell(this.#streams, 'tick', await this.#look())
    } catch (error) {
      if (error instanceof ThreadpostError && error.code === 'CLOSED')
        for (const stream of this.#streams) stream.end()
      else tell(this.#streams, 'trouble', { message: error instanceof Error ? error.message : '' })
    } finally {
      this.#asking = false
    }
  }
}

function tell(streams: Iterable<EventStream>, event: string, data: object): void {
  for (const stream of streams) stream.send(data, event)
}
