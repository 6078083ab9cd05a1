import { type Response, Router } from 'express'
import { jsonBody } from '../../web/body.js'
import { EventStreams } from '../../web/eventStream.js'
import { invalid } from '../../web/problem.js'
import { type Demo, WAYS } from './demo.js'
import type { Cell } from './messageGrid.js'

/** Milliseconds between two frames: few enough that telling does not disturb what is told. */
const FRAME = 200

/** The buttons of the start page, and a stream of what they bring about. */
export function demoRouter(demo: Demo): Router {
  const router = Router()
  const audience = new Audience(demo)
  const body = jsonBody(1000)

  router.post('/run', body, (request, response) => {
    const given: unknown = (request.body as { way?: unknown } | undefined)?.way
    const way = WAYS.find((known) => known === given)
    if (way === undefined) throw invalid('way', `must be one of ${WAYS.join(', ')}`)
    demo.start(way)
    response.status(202).json({ way })
  })

  router.post('/kill-thread', body, (_request, response) => {
    response.json({ thread: demo.killThread() })
  })

  router.post('/lose-replies', body, (_request, response) => {
    demo.loseReplies()
    response.status(204).end()
  })

  router.get('/events', (_request, response) => {
    audience.join(response)
  })
  return router
}

/** Those who watch. They are all told the same, a few times a second. */
class Audience {
  readonly #demo: Demo
  readonly #streams = new EventStreams()
  #timer: NodeJS.Timeout | undefined

  constructor(demo: Demo) {
    this.#demo = demo
  }

  join(response: Response): void {
    const stream = this.#streams.open(response)
    if (stream === undefined) return
    stream.onClose(() => this.#leave())
    if (this.#timer === undefined) {
      this.#demo.delay.start()
      this.#timer = setInterval(() => this.#tell(), FRAME)
    }
    stream.send(this.#frame(0, this.#demo.run?.grid.cells()))
  }

  #leave(): void {
    if (this.#streams.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#demo.delay.stop()
  }

  #tell(): void {
    const delay = this.#demo.delay.sample()
    const fates = this.#demo.run?.grid
    const news = this.#frame(delay, fates?.takeChanges())
    // Who is behind will read one frame in place of several: it has every cell.
    for (const stream of this.#streams) stream.send(stream.behind ? this.#frame(delay, fates?.cells()) : news)
  }

  #frame(delay: number, cells: Cell[] | undefined): object {
    const { run } = this.#demo
    const told = run && {
      number: run.number,
      way: run.way,
      cells,
      tally: run.grid.totals(),
      ...(run.result === undefined ? {} : { result: run.result }),
    }
    return { delay, run: told }
  }
}
