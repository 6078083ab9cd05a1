import type { Response } from 'express'
import { sendProblem } from './problem.js'

/** Milliseconds between two heartbeats: proxies close idle connections. */
const HEARTBEAT = 20_000
/** Maximum number of open streams of one router. */
const MAX_STREAMS = 100

/**
 * Server-sent events (HTML standard, section 9.2) to one page. For a slow reader, only the newest event of each kind is buffered, so that
 * memory is bounded and the latest state always arrives.
 */
export class EventStream {
  readonly #response: Response
  /** Buffered events by kind. */
  readonly #buffered = new Map<string, string>()

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
    response.on('drain', () => this.#flush())
  }

  /** Whether the page is still reading earlier events. New events are then buffered, and replace buffered ones of their kind. */
  get behind(): boolean {
    return this.#response.writableNeedDrain
  }

  /** @param event kind of the event; without one, `onmessage` receives it */
  send(data: object, event = ''): void {
    const text = `${event && `event: ${event}\n`}data: ${JSON.stringify(data)}\n\n`
    if (this.behind) this.#buffered.set(event, text)
    else this.#write(text)
  }

  /** Sends buffered events, then ends the stream. */
  end(): void {
    this.#flush()
    this.#response.end()
  }

  onClose(listener: () => void): void {
    this.#response.once('close', listener)
  }

  #flush(): void {
    for (const text of this.#buffered.values()) this.#write(text)
    this.#buffered.clear()
  }

  #write(text: string): void {
    if (!this.#response.writableEnded) this.#response.write(text)
  }
}

/** The open streams of a router. */
export class EventStreams {
  readonly #open = new Set<EventStream>()

  /** @returns undefined if there are too many streams (the response is then a problem), or if the page has disconnected */
  open(response: Response): EventStream | undefined {
    if (response.closed) return undefined
    if (this.#open.size >= MAX_STREAMS) {
      sendProblem(response, 'TOO_MANY_REQUESTS', 'Too many pages are watching already. Close some of them.')
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
