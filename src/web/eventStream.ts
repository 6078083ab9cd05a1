import type { Response } from 'express'
import { sendProblem } from './problem.js'

/** Milliseconds between two signs of life: proxies end a connection on which nothing is said. */
const HEARTBEAT = 20_000
/** Pages that may listen to one router's streams at a time. */
const MOST = 100

/**
 * Server-sent events (HTML standard, section 9.2) to one page. To who reads too slowly nothing piles up: of each kind of event
 * only the newest waits for room, so that the last word always arrives.
 */
export class EventStream {
  readonly #response: Response
  /** What waits for room, by its kind. */
  readonly #waiting = new Map<string, string>()

  constructor(response: Response) {
    this.#response = response
    response.set({
      'Content-Type': 'text/event-stream',
      'Cache-Control': 'no-store',
      'X-Accel-Buffering': 'no',
    })
    response.flushHeaders()
    const heartbeat = setInterval(() => {
      if (!this.behind) this.#write(':\n\n')
    }, HEARTBEAT).unref()
    response.once('close', () => clearInterval(heartbeat))
    response.on('drain', () => this.#catchUp())
  }

  /** Whether the page has not read what it was told before: what it is told now waits, and takes the place of what waits. */
  get behind(): boolean {
    return this.#response.writableNeedDrain
  }

  /** @param event its kind; without, it is what `onmessage` hears */
  send(data: object, event = ''): void {
    const text = `${event && `event: ${event}\n`}data: ${JSON.stringify(data)}\n\n`
    if (this.behind) this.#waiting.set(event, text)
    else this.#write(text)
  }

  /** Once what waits is told. */
  end(): void {
    this.#catchUp()
    this.#response.end()
  }

  onClose(listener: () => void): void {
    this.#response.once('close', listener)
  }

  #catchUp(): void {
    for (const text of this.#waiting.values()) this.#write(text)
    this.#waiting.clear()
  }

  #write(text: string): void {
    if (!this.#response.writableEnded) this.#response.write(text)
  }
}

/** The streams that a router has open. */
export class EventStreams {
  readonly #open = new Set<EventStream>()

  /** @returns undefined where there are too many, which is answered, or where the page has gone already */
  open(response: Response): EventStream | undefined {
    if (response.closed) return undefined
    if (this.#open.size >= MOST) {
      sendProblem(response, 'TOO_MANY_REQUESTS', 'Too many pages look on already. Close some of them.')
      return undefined
    }
    const stream = new EventStream(response)
    this.#open.add(stream)
    stream.onClose(() => this.#open.delete(stream))
    return stream
  }

  get size(): number {
    return this.#open.size
  }

  [Symbol.iterator](): IterableIterator<EventStream> {
    return this.#open.values()
  }
}
