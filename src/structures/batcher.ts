/**
 * Collects what is added within one turn of the event loop, so that it crosses to a thread or a server as one message:
 * a crossing costs more than what is in it.
 *
 *     turn of the event loop        end of the turn
 *     add(a)  add(b)  add(c)   ──▶  ready() ──▶ take() = [a, b, c]
 *
 * `ready()` is called once per turn in which something was added. Items that it doesn't take stay. Each operation is O(1).
 */
export class Batcher<T> {
  readonly #ready: () => void
  #items: T[] = []
  #scheduled = false

  /** @param ready called at the end of the turn (`setImmediate`); takes the batch with {@link take}, or leaves it */
  constructor(ready: () => void) {
    this.#ready = ready
  }

  get size(): number {
    return this.#items.length
  }

  add(item: T): void {
    this.#items.push(item)
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#ready()
    })
  }

  /** Returns the batch, in the order of addition, and empties it. */
  take(): T[] {
    const items = this.#items
    this.#items = []
    return items
  }
}

interface PendingRequest<Request, Reply> {
  request: Request
  resolve: (reply: Reply) => void
  reject: (error: unknown) => void
}

/**
 * Answers single requests from commands that take many: requests of one turn of the event loop share a command.
 *
 *     request(a) ─┐                        ┌─▶ reply to a
 *     request(b) ─┼─▶ run([a, b, c]) ──────┼─▶ reply to b
 *     request(c) ─┘                        └─▶ reply to c
 *
 * With a limit of commands that run at a time, the requests that arrive meanwhile share the next one.
 */
export class RequestBatcher<Request, Reply> {
  readonly #maxBatch: number
  readonly #run: (requests: Request[]) => Promise<Reply[]>
  readonly #maxRunning: number
  readonly #pending = new Batcher<PendingRequest<Request, Reply>>(() => this.#flush())
  /** Requests that wait for a command to end. */
  #waiting: PendingRequest<Request, Reply>[] = []
  #running = 0

  /**
   * @param maxBatch requests in one command, at most; more are split into several commands that run at the same time
   * @param run returns the replies in the order of the requests; if it rejects, all requests of the command reject
   * @param maxRunning commands that run at a time, at most
   */
  constructor(maxBatch: number, run: (requests: Request[]) => Promise<Reply[]>, maxRunning = Infinity) {
    this.#maxBatch = maxBatch
    this.#run = run
    this.#maxRunning = maxRunning
  }

  request(request: Request): Promise<Reply> {
    return new Promise((resolve, reject) => this.#pending.add({ request, resolve, reject }))
  }

  #flush(): void {
    const pending = this.#pending.take()
    this.#waiting = this.#waiting.length === 0 ? pending : this.#waiting.concat(pending)
    this.#start()
  }

  #start(): void {
    let from = 0
    for (; from < this.#waiting.length && this.#running < this.#maxRunning; from += this.#maxBatch) {
      this.#running++
      void this.#send(this.#waiting.slice(from, from + this.#maxBatch)).then(() => {
        this.#running--
        this.#start()
      })
    }
    if (from > 0) this.#waiting = this.#waiting.slice(from)
  }

  async #send(batch: PendingRequest<Request, Reply>[]): Promise<void> {
    try {
      const replies = await this.#run(batch.map(({ request }) => request))
      batch.forEach(({ resolve }, index) => resolve(replies[index] as Reply))
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }
}
