import { type Response, Router } from 'express'
import { EventStreams } from '../../web/eventStream.js'
import { jsonBody } from '../../web/middleware.js'
import { invalid } from '../../web/problem.js'
import type { Demo } from './demo.js'
import { isWay, WAYS } from './demoRun.js'
import type { Cell } from './messageGrid.js'

/** Interval between two frames, in milliseconds. It is long enough that streaming doesn't affect the measurement. */
const FRAME = 200

/** Routes for the buttons of the load test, and a stream of its state. */
export function demoRouter(demo: Demo): Router {
  const router = Router()
  const broadcaster = new Broadcaster(demo)
  const body = jsonBody(1000)

  router.post('/run', body, (request, response) => {
    const input: unknown = (request.body as { way?: unknown } | undefined)?.way
    if (!isWay(input)) throw invalid('way', `must be one of ${Object.keys(WAYS).join(', ')}`)
    demo.start(input)
    response.status(202).json({ way: input })
  })

  router.post('/kill-thread', body, (_request, response) => {
    const thread = demo.killThread()
    response.status(202).json(thread === undefined ? { started: true } : { thread })
  })

  router.post('/lose-replies', body, (_request, response) => {
    demo.loseReplies()
    response.status(202).json({})
  })

  router.get('/events', (_request, response) => {
    broadcaster.add(response)
  })
  return router
}

/** Sends the same frames to all open pages, a few times per second. */
class Broadcaster {
  readonly #demo: Demo
  readonly #streams = new EventStreams()
  #timer: NodeJS.Timeout | undefined

  constructor(demo: Demo) {
    this.#demo = demo
  }

  add(response: Response): void {
    const stream = this.#streams.open(response)
    if (stream === undefined) return
    stream.onClose(() => this.#onClose())
    if (this.#timer === undefined) {
      this.#demo.delay.watch()
      this.#timer = setInterval(() => this.#broadcast(), FRAME)
    }
    stream.send(this.#frame(0, this.#demo.run?.grid.cells()))
  }

  #onClose(): void {
    if (this.#streams.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#demo.delay.unwatch()
  }

  #broadcast(): void {
    const delay = this.#demo.delay.sample()
    this.#demo.refresh()
    const grid = this.#demo.run?.grid
    const changes = this.#frame(delay, grid?.takeChanges())
    // A slow client receives one frame with all cells instead of several frames with changes.
    for (const stream of this.#streams)
      stream.send(stream.behind ? this.#frame(delay, grid?.cells()) : changes)
  }

  #frame(delay: number, cells: Cell[] | undefined): object {
    const { run, results } = this.#demo
    if (run === undefined) return { delay }
    const { number, way, grid, result, killed, disturbed } = run
    const totals = grid.totals()
    return {
      delay,
      results,
      run: {
        number,
        way,
        cells,
        totals,
        killed,
        disturbed,
        held: run.whyHeld(totals),
        ...(result === undefined ? {} : { result }),
      },
    }
  }
}
