import type { Response } from 'express'
import { type Mailer, ThreadpostError } from '../index.js'
import { type EventStream, EventStreams } from '../web/eventStream.js'
import { RecentOutcomes } from './recentOutcomes.js'
import { TemplateWatch } from './templateWatch.js'
import type { Tick } from './viewModels.js'

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
  readonly #templates: TemplateWatch | undefined
  #timer: NodeJS.Timeout | undefined
  #asking = false

  constructor(mailer: Mailer) {
    this.#mailer = mailer
    this.#outcomes = new RecentOutcomes(mailer)
    const { templateFolder } = mailer
    if (templateFolder !== undefined)
      this.#templates = new TemplateWatch(templateFolder, () => tell(this.#previews, 'templates', {}))
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
