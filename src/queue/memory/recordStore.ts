import {
  applyChange,
  type RecordChange,
  type RecordRange,
  type RecordValue,
  type SharedRecord,
  type SharedRecords,
} from '../records.js'

interface Entry extends RecordValue {
  at: number
  keepUntil: number
}

/** Changes after which expired records are deleted. */
const SWEEP_AFTER = 500

/** The records of a queue in memory. */
export class RecordStore implements SharedRecords {
  readonly #entries = new Map<string, Entry>()
  #changes = 0

  write(changes: readonly RecordChange[]): Promise<void> {
    const now = Date.now()
    for (const change of changes) {
      const { key, keepUntil } = change
      if (change.remove === true) {
        this.#entries.delete(key)
        continue
      }
      const found = this.#entries.get(key)
      const entry = found !== undefined && found.keepUntil > now ? found : { numbers: {}, at: now, keepUntil }
      applyChange(entry, change)
      entry.at = now
      entry.keepUntil = keepUntil
      this.#entries.set(key, entry)
    }
    this.#changes += changes.length
    if (this.#changes >= SWEEP_AFTER) this.#sweep(now)
    return Promise.resolve()
  }

  read(ranges: readonly RecordRange[]): Promise<SharedRecord[][]> {
    const now = Date.now()
    const keys = [...this.#entries.keys()].sort()
    const found = ranges.map(({ from, to }) =>
      keys.flatMap((key) => {
        const entry = key >= from && key < to ? this.#entries.get(key) : undefined
        if (entry === undefined || entry.keepUntil <= now) return []
        const { at, keepUntil: _, numbers, ...rest } = entry
        return [{ key, age: Math.max(0, now - at), numbers: { ...numbers }, ...rest }]
      }),
    )
    return Promise.resolve(found)
  }

  #sweep(now: number): void {
    this.#changes = 0
    for (const [key, { keepUntil }] of this.#entries) if (keepUntil <= now) this.#entries.delete(key)
  }
}
