import type { Response } from 'express'
import { type Mailer, ThreadpostError } from '../index.js'
import { sendProblem } from '../web/problem.js'
import { TemplateWatch } from './templateWatch.js'
import type { Tick } from './views.js'

/** Milliseconds between two looks at the mailer. */
const BEAT = 1_000
/** Pages that may look on at a time. */
const MAX_WATCHERS = 100

/**
 * Server-sent events for open pages: how the mailer fares, once a second, and that templates changed. While nobody looks
 * nothing is asked, counted or watched. It ends with the last page, or when the mailer is closed.
 */
export class LiveFeed {
  readonly #mailer: Mailer
  readonly #watchers = new Set<Response>()
  readonly #templateWatchers = new Set<Response>()
  readonly #templates: TemplateWatch | undefined
  #timer: NodeJS.Timeout | undefined
  #asking = false

  constructor(mailer: Mailer) {
    this.#mailer = mailer
    const { templateFolder } = mailer
    if (templateFolder !== undefined)
      this.#templates = new TemplateWatch(templateFolder, () =>
        this.#tell(this.#templateWatchers, 'templates', {}),
      )
  }

  async join(response: Response, { templates = false } = {}): Promise<void> {
    if (this.#watchers.size >= MAX_WATCHERS) {
      sendProblem(response, 'TOO_MANY_REQUESTS', 'Too many pages look on already. Close some of them.')
      return
    }
    const first = await this.#look()
    response.set({ 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' })
    response.flushHeaders()
    // It may have gone while the queue was asked.
    if (response.closed) return
    this.#watchers.add(response)
    if (templates) {
      this.#templateWatchers.add(response)
      this.#templates?.start()
    }
    response.once('close', () => this.#leave(response))
    write(response, 'tick', JSON.stringify(first))
    this.#timer ??= setInterval(() => void this.#beat(), BEAT).unref()
  }

  #leave(response: Response): void {
    this.#watchers.delete(response)
    this.#templateWatchers.delete(response)
    if (this.#templateWatchers.size === 0) this.#templates?.stop()
    if (this.#watchers.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  async #look(): Promise<Tick> {
    return { at: Date.now(), stats: await this.#mailer.stats() }
  }

  async #beat(): Promise<void> {
    // A queue that is slow to answer is not asked again meanwhile.
    if (this.#asking) return
    this.#asking = true
    try {
      this.#tell(this.#watchers, 'tick', await this.#look())
    } catch (error) {
      if (error instanceof ThreadpostError && error.code === 'CLOSED')
        for (const response of this.#watchers) response.end()
      else this.#tell(this.#watchers, 'trouble', { message: error instanceof Error ? error.message : '' })
    } finally {
      this.#asking = false
    }
  }

  #tell(watchers: ReadonlySet<Response>, event: string, data: object): void {
    const text = JSON.stringify(data)
    for (const response of watchers) write(response, event, text)
  }
}

/** Who reads too slowly misses some, so that nothing piles up. */
function write(response: Response, event: string, data: string): void {
  if (!response.writableEnded && !response.writableNeedDrain)
    response.write(`event: ${event}\ndata: ${data}\n\n`)
}
