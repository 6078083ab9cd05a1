import type { Transaction } from 'better-sqlite3'
import type { Parts } from './outboxParts.js'

/** Maximum number of requests within a tick for the thread to count as idle. */
const MAX_IDLE_REQUESTS = 50
/** Ticks between two looks for work: a second. */
const PERIOD = 10
/** Messages indexed per step: a few milliseconds that a request may have to wait. Fewer wait until no requests come in any more. */
const INDEX_STEP = 50
/** Pages of the text index merged per step. */
const MERGE_STEP = 64
/** Maximum number of steps after a tick. */
const STEPS_PER_TICK = 20

/** The deliverer's work for idle time, in small steps: the search index, expired keys, free pages, old journals. */
export class IdleTasks {
  readonly #parts: Parts
  readonly #transaction: Transaction<(work: () => void) => void>
  #steps = 0
  #ticks = 0
  /** Requests since the last look for work. */
  #requests = 0
  /** Messages below which indexing is not worth a commit now. */
  #fewest = INDEX_STEP
  /** Whether the last step left work to do. */
  #unfinished = true
  #stopped = false

  constructor(parts: Parts) {
    this.#parts = parts
    this.#transaction = parts.db.transaction((work: () => void) => {
      work()
    })
  }

  /** @param traffic requests since the last tick */
  tick(traffic: number): void {
    const { deliverer, capacity } = this.#parts
    this.#requests += traffic
    // While mail is refused for lack of space, freeing space can't wait for idle time.
    const urgent = capacity.refusal !== undefined
    if (++this.#ticks % PERIOD === 0) {
      this.#fewest = this.#requests === 0 ? 1 : INDEX_STEP
      this.#requests = 0
    } else if (!this.#unfinished && !urgent) return
    const idle = this.#steps === 0
    const quiet = urgent || traffic <= MAX_IDLE_REQUESTS
    this.#steps = deliverer.active && quiet ? STEPS_PER_TICK : 0
    if (idle && this.#steps > 0) this.#next()
  }

  stop(): void {
    this.#stopped = true
  }

  #next(): void {
    setImmediate(() => {
      if (this.#stopped || this.#steps === 0) return
      this.#steps--
      this.#unfinished = this.#step()
      if (!this.#unfinished) this.#steps = 0
      if (this.#steps > 0) this.#next()
    })
  }

  /** @returns whether there is more to do */
  #step(): boolean {
    const { counters, searchIndex, pruner, recovery, capacity, log } = this.#parts
    try {
      let more = false
      // The index takes space that the accepted messages may need; a search reads the messages that are not in it.
      const indexes = searchIndex.behind >= this.#fewest && capacity.refusal === undefined
      const { merges } = searchIndex
      if (indexes || merges || pruner.areKeysDue(Date.now())) {
        this.#transaction.immediate(() => {
          counters.load()
          if (indexes) searchIndex.advance(INDEX_STEP)
          if (merges) searchIndex.merge(MERGE_STEP)
          pruner.pruneKeys(Date.now())
          counters.store()
        })
        if (merges) log.noteDropped()
        more = (indexes && searchIndex.behind >= this.#fewest) || searchIndex.merges
      }
      recovery.discardOld()
      // To move pages makes the log longer, and a log that is too long can't be emptied now.
      return (!log.full && pruner.shrink()) || more
    } catch {
      // The commits report a full or locked disk; this work is done later.
      return false
    }
  }
}
