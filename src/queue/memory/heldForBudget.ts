import { MAX_PRIORITY } from '../../message/messageState.js'
import type { Entry } from './messageStore.js'

/** The messages that are held for a transport's budget: by transport, and by priority, the one held first in front. */
export class HeldForBudget {
  readonly #transports = new Map<string, Set<Entry>[]>()

  /** Takes note of the entry, as it is now. */
  update(entry: Entry): void {
    const { job, state } = entry
    if (state.heldReason !== 'budget' || state.nextAttemptAt === undefined) {
      this.#transports.get(job.transport)?.[job.priority]?.delete(entry)
      return
    }
    let sets = this.#transports.get(job.transport)
    if (sets === undefined) {
      sets = Array.from({ length: MAX_PRIORITY + 1 }, () => new Set<Entry>())
      this.#transports.set(job.transport, sets)
    }
    sets[job.priority]?.add(entry)
  }

  /** The first ones, of higher priority first. */
  first(transports: readonly string[], most: number): Entry[] {
    const found: Entry[] = []
    for (let priority = MAX_PRIORITY; priority >= 0; priority--)
      for (const transport of transports)
        for (const entry of this.#transports.get(transport)?.[priority] ?? []) {
          if (found.length >= most) return found
          found.push(entry)
        }
    return found
  }
}
