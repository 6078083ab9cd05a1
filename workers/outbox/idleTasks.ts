import type { Transaction } from 'better-sqlite3'
import type { Parts } from './parts.js'

/** More requests than this within one tick, and idle work waits for another. */
const BUSY = 50
/** Messages indexed in one step: a few milliseconds that a request may have to wait. */
const INDEX_STEP = 50
/** Steps after each tick at most. */
const STEPS = 20

/** The deliverer's work for quiet moments, in small steps: the search index, old keys, free pages, old notes. */
export class IdleTasks {
  readonly #parts: Parts
  readonly #transaction: Transaction<(work: () => void) => void>
  #steps = 0
  #stopped = false

  constructor(parts: Parts) {
    this.#parts = parts
    this.#transaction = parts.db.transaction((work: () => void) => {
      work()
    })
  }

  /** @param traffic requests since the last tick */
  tick(traffic: number): void {
    const { lock, capacity } = this.#parts
    const idle = this.#steps === 0
    // While mail is refused for want of room, giving space back is no idle work.
    const quiet = capacity.refusal === undefined ? traffic <= BUSY : true
    this.#steps = lock.held && quiet ? STEPS : 0
    if (idle && this.#steps > 0) this.#next()
  }

  stop(): void {
    this.#stopped = true
  }

  #next(): void {
    setImmediate(() => {
      if (this.#stopped || this.#steps === 0) return
      this.#steps--
      if (!this.#step()) this.#steps = 0
      if (this.#steps > 0) this.#next()
    })
  }

  /** @returns whether there is more to do. */
  #step(): boolean {
    const { counters, searchIndex, pruner, recovery, capacity } = this.#parts
    try {
      let more = false
      if ((searchIndex.behind && !capacity.inUse) || pruner.areKeysDue(Date.now())) {
        this.#transaction.immediate(() => {
          counters.load()
          if (!capacity.inUse) searchIndex.advance(INDEX_STEP)
          pruner.pruneKeys(Date.now())
          counters.store()
        })
        more = searchIndex.behind && !capacity.inUse
      }
      recovery.discardOld()
      return pruner.shrink() || more
    } catch {
      // A full or locked disk is told by the commits; what was left undone here is done another time.
      return false
    }
  }
}
