/** What a cell of the start page shows of its message. `failed`: nobody tries it again. */
export const FATES = ['waiting', 'queued', 'sending', 'deferred', 'sent', 'failed'] as const
export type CellStatus = (typeof FATES)[number]

const ENDS: ReadonlySet<CellStatus> = new Set(['sent', 'failed'])

/** A cell: its number, its fate, whether it was ever uncertain (0 or 1), and how often its mail has arrived. */
export type Cell = [index: number, fate: CellStatus, uncertain: 0 | 1, arrived: number]

/** The sum of it all. The fates add up to all messages, always. */
export interface GridTotals {
  fates: Record<CellStatus, number>
  uncertain: number
  /** Messages whose mail is in the inbox, and those it reached more than once. */
  arrived: number
  doubled: number
  /** Of the doubled those that were never uncertain. There must be none. */
  unexplained: number
}

/** The fates of a run's messages, and which of them are news. */
export class MessageGrid {
  readonly #fates: CellStatus[]
  readonly #uncertain: Uint8Array
  readonly #arrived: Uint32Array
  readonly #news = new Set<number>()
  #open: number

  constructor(count: number) {
    this.#fates = new Array<CellStatus>(count).fill('waiting')
    this.#uncertain = new Uint8Array(count)
    this.#arrived = new Uint32Array(count)
    this.#open = count
  }

  get settled(): boolean {
    return this.#open === 0
  }

  setStatus(index: number, fate: CellStatus): void {
    const before = this.#fates[index]
    if (before === undefined || before === fate) return
    this.#open += Number(ENDS.has(before)) - Number(ENDS.has(fate))
    this.#fates[index] = fate
    this.#news.add(index)
  }

  markUncertain(index: number): void {
    this.#uncertain[index] = 1
    this.#news.add(index)
  }

  recordArrival(index: number): void {
    this.#arrived[index] = (this.#arrived[index] ?? 0) + 1
    this.#news.add(index)
  }

  /** The cells that changed since the last call. */
  takeChanges(): Cell[] {
    const cells = [...this.#news].map((index) => this.#cell(index))
    this.#news.clear()
    return cells
  }

  cells(): Cell[] {
    return this.#fates.map((_, index) => this.#cell(index))
  }

  totals(): GridTotals {
    const fates = Object.fromEntries(FATES.map((fate) => [fate, 0])) as Record<CellStatus, number>
    const tally: GridTotals = { fates, uncertain: 0, arrived: 0, doubled: 0, unexplained: 0 }
    this.#fates.forEach((fate, index) => {
      const uncertain = this.#uncertain[index] === 1
      const arrived = this.#arrived[index] ?? 0
      fates[fate]++
      if (uncertain) tally.uncertain++
      if (arrived > 0) tally.arrived++
      if (arrived > 1) tally.doubled++
      if (arrived > 1 && !uncertain) tally.unexplained++
    })
    return tally
  }

  #cell(index: number): Cell {
    return [
      index,
      this.#fates[index] ?? 'waiting',
      this.#uncertain[index] === 1 ? 1 : 0,
      this.#arrived[index] ?? 0,
    ]
  }
}
