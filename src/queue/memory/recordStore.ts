import type { ChangeListener, DriverOptions } from '../driver.js'
import {
  applyChange,
  type RecordChange,
  type RecordRange,
  type RecordValue,
  type SharedRecord,
  type SharedRecords,
} from '../records.js'

/** Returns the change listener of a queue in memory: it stores the records of a change, and then calls the queue's. */
export function listenerWithRecords(
  { onChange, recordsOf }: DriverOptions,
  store: RecordStore,
): ChangeListener {
  if (recordsOf === undefined) return onChange
  return (message) => {
    const records = recordsOf(message)
    if (records.length > 0) void store.write(records)
    onChange(message)
  }
}

interface Entry extends RecordValue {
  at: number
  keepUntil: number
}

/** Changes after which expired records are deleted. */
const SWEEP_AFTER = 500
/** New keys up to this number are inserted one by one; more are sorted together with the others. */
const FEW = 64

/** The records of a queue in memory. */
export class RecordStore implements SharedRecords {
  readonly #entries = new Map<string, Entry>()
  /** The keys in their order, but for those in `#added`. A key whose entry was deleted may remain until the next sweep. */
  #keys: string[] = []
  #added: string[] = []
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
      if (found === undefined) this.#added.push(key)
      this.#entries.set(key, entry)
    }
    this.#changes += changes.length
    if (this.#changes >= Math.max(SWEEP_AFTER, this.#entries.size / 2)) this.#sweep(now)
    return Promise.resolve()
  }

  read(ranges: readonly RecordRange[]): Promise<SharedRecord[][]> {
    const now = Date.now()
    this.#order()
    return Promise.resolve(ranges.map((range) => this.#readRange(range, now)))
  }

  #readRange({ from, to, limit = Infinity }: RecordRange, now: number): SharedRecord[] {
    const records: SharedRecord[] = []
    for (let index = this.#positionOf(from); index < this.#keys.length; index++) {
      const key = this.#keys[index]!
      if (key >= to || records.length >= limit) break
      const entry = this.#entries.get(key)
      if (entry === undefined || entry.keepUntil <= now) continue
      const { at, keepUntil: _, numbers, ...rest } = entry
      records.push({ key, age: Math.max(0, now - at), numbers: { ...numbers }, ...rest })
    }
    return records
  }

  /** The position of the first key that is not below this one. */
  #positionOf(key: string): number {
    let low = 0
    let high = this.#keys.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#keys[middle]! < key) low = middle + 1
      else high = middle
    }
    return low
  }

  #order(): void {
    if (this.#added.length > FEW) this.#keys = [...new Set([...this.#keys, ...this.#added])].sort()
    else
      for (const key of this.#added) {
        const position = this.#positionOf(key)
        if (this.#keys[position] !== key) this.#keys.splice(position, 0, key)
      }
    this.#added = []
  }

  #sweep(now: number): void {
    this.#changes = 0
    for (const [key, { keepUntil }] of this.#entries) if (keepUntil <= now) this.#entries.delete(key)
    this.#keys = [...this.#entries.keys()].sort()
    this.#added = []
  }
}
