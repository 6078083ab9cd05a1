import { type Dirent, type FSWatcher, watch } from 'node:fs'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import type { Response } from 'express'
import { type Mailer, ThreadpostError } from '../index.js'
import { type EventStream, EventStreams } from '../web/eventStream.js'
import type { Tick } from './viewModels.js'

/** Maximum number of watched folders, starting at the root. A change in any other folder shows at the next render. */
const MAX_FOLDERS = 64
/** Milliseconds without another change before a change is reported: editors write a file in several steps. */
const SETTLE_TIME = 120
/** Milliseconds after which the change is reported again: a thread looks for changed files within half a second. */
const REPEAT_AFTER = 1_000

/** Reports changes in a folder. It watches only between `start()` and `stop()`. */
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
    void this.#watchFolders()
  }

  stop(): void {
    this.#watching = false
    clearTimeout(this.#timer)
    for (const watcher of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
  }

  /** Watches every folder below the root. Called after each change, because folders are created and deleted, too. */
  async #watchFolders(): Promise<void> {
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
      const watcher = watch(folder, () => this.#schedule())
      watcher.on('error', () => {
        watcher.close()
        this.#watchers.delete(folder)
      })
      this.#watchers.set(folder, watcher)
    } catch {
      // The folder is gone, or the system has no watcher left: then changes show at the next render.
    }
  }

  #schedule(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      void this.#watchFolders()
      this.#changed()
      this.#timer = setTimeout(this.#changed, REPEAT_AFTER)
    }, SETTLE_TIME)
  }
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  return readdir(folder, { withFileTypes: true }).catch(() => [])
}

/** Milliseconds between two ticks. */
const TICK_INTERVAL = 1_000
/** Milliseconds of the history that each tick contains: the period that has just ended may still grow. */
const SHOWN_PERIODS = 20_000

/**
 * Server-sent events for open pages: the state of the mailer once a second, and changes of templates. Without open pages,
 * nothing is queried, counted, or watched. The feed stops with the last page, or when the mailer is closed.
 */
export class LiveFeed {
  readonly #mailer: Mailer
  readonly #streams = new EventStreams()
  readonly #previews = new Set<EventStream>()
  readonly #templates: TemplateWatcher | undefined
  #timer: NodeJS.Timeout | undefined
  #ticking = false

  constructor(mailer: Mailer) {
    this.#mailer = mailer
    const { templateFolder } = mailer
    if (templateFolder !== undefined)
      this.#templates = new TemplateWatcher(templateFolder, () => broadcast(this.#previews, 'templates', {}))
  }

  async join(response: Response, { templates = false } = {}): Promise<void> {
    // Queried before the stream opens, so that an error is a problem response.
    const first = await this.#currentTick()
    const stream = this.#streams.open(response)
    if (stream === undefined) return
    if (templates) {
      this.#previews.add(stream)
      this.#templates?.start()
    }
    stream.onClose(() => this.#remove(stream))
    stream.send(first, 'tick')
    this.#timer ??= setInterval(() => void this.#tick(), TICK_INTERVAL).unref()
  }

  #remove(stream: EventStream): void {
    this.#previews.delete(stream)
    if (this.#previews.size === 0) this.#templates?.stop()
    if (this.#streams.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  async #currentTick(): Promise<Tick> {
    const { monitoring } = this.#mailer
    const activity = await monitoring.activity()
    return { activity, points: await monitoring.history({ since: Date.parse(activity.at) - SHOWN_PERIODS }) }
  }

  async #tick(): Promise<void> {
    // A slow queue isn't queried again before it responds.
    if (this.#ticking) return
    this.#ticking = true
    try {
      broadcast(this.#streams, 'tick', await this.#currentTick())
    } catch (error) {
      if (error instanceof ThreadpostError && error.code === 'CLOSED')
        for (const stream of this.#streams) stream.end()
      else broadcast(this.#streams, 'trouble', { message: error instanceof Error ? error.message : '' })
    } finally {
      this.#ticking = false
    }
  }
}

function broadcast(streams: Iterable<EventStream>, event: string, data: object): void {
  for (const stream of streams) stream.send(data, event)
}
