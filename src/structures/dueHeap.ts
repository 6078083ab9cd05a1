/** An entry of a {@link DueHeap}: it has a time and knows its own index in the heap. */
export interface Due {
  /** Milliseconds since the epoch. Must not change while the entry is in a heap. */
  dueAt: number
  /** Set by the heap; -1 outside it. */
  heapIndex: number
}

/**
 * A binary min-heap by time: the parent of each entry is due no later than the entry.
 *
 *             3                     index   0   1   2   3   4
 *           ┌─┴─┐                         ┌───┬───┬───┬───┬───┐
 *           5   8           ──▶           │ 3 │ 5 │ 8 │ 9 │ 6 │
 *          ┌┴┐                            └───┴───┴───┴───┴───┘
 *          9 6                      children of i: 2i + 1 and 2i + 2
 *
 * `peek()` is O(1); `add()` and `remove()` of any entry are O(log n), since each entry knows its index.
 */
export class DueHeap<T extends Due> {
  readonly #entries: T[] = []

  /** All entries, in no particular order. */
  entries(): T[] {
    return [...this.#entries]
  }

  /** The entry that is due first. */
  peek(): T | undefined {
    return this.#entries[0]
  }

  add(entry: T): void {
    entry.heapIndex = this.#entries.length
    this.#entries.push(entry)
    this.#siftUp(entry)
  }

  /** Does nothing if the entry is outside the heap. */
  remove(entry: T): void {
    const index = entry.heapIndex
    if (index < 0) return
    entry.heapIndex = -1
    const last = this.#entries.pop()
    if (last === undefined || last === entry) return
    this.#place(last, index)
    this.#siftUp(last)
    this.#siftDown(last)
  }

  #siftUp(entry: T): void {
    while (entry.heapIndex > 0) {
      const parentIndex = (entry.heapIndex - 1) >> 1
      const parent = this.#entries[parentIndex]
      if (parent === undefined || parent.dueAt <= entry.dueAt) return
      this.#place(parent, entry.heapIndex)
      this.#place(entry, parentIndex)
    }
  }

  #siftDown(entry: T): void {
    for (;;) {
      const left = this.#entries[2 * entry.heapIndex + 1]
      const right = this.#entries[2 * entry.heapIndex + 2]
      const child = right !== undefined && left !== undefined && right.dueAt < left.dueAt ? right : left
      if (child === undefined || child.dueAt >= entry.dueAt) return
      const childIndex = child.heapIndex
      this.#place(child, entry.heapIndex)
      this.#place(entry, childIndex)
    }
  }

  #place(entry: T, index: number): void {
    this.#entries[index] = entry
    entry.heapIndex = index
  }
}
