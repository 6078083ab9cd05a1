/** Status of a message in its cell of the start page. Nothing retries a message whose status is `failed`. */
export const CELL_STATUSES = ['waiting', 'queued', 'sending', 'deferred', 'held', 'sent', 'failed'] as const
export type CellStatus = (typeof CELL_STATUSES)[number]

/** The cell status of each status of a message. */
export const CELL_STATUS_OF = {
  queued: 'queued',
  sending: 'sending',
  deferred: 'deferred',
  held: 'held',
  sent: 'sent',
  partial: 'sent',
  failed: 'failed',
  expired: 'failed',
  cancelled: 'failed',
} as const satisfies Partial<Record<string, CellStatus>>
/** The events that change a cell. */
export const EVENTS = Object.keys(CELL_STATUS_OF) as (keyof typeof CELL_STATUS_OF)[]

const FINAL: ReadonlySet<CellStatus> = new Set(['sent', 'failed'])

/** A cell: its index, its status, whether it was ever uncertain, and how often its mail arrived. */
export type Cell = [index: number, status: CellStatus, uncertain: 0 | 1, arrived: number]

/** Totals over all messages. The sum of `statuses` is always the number of messages. */
export interface GridTotals {
  statuses: Record<CellStatus, number>
  uncertain: number
  /** Messages whose mail is in the inbox. */
  arrived: number
  /** Messages whose mail is in the inbox more than once. */
  doubled: number
  /** Messages whose mail is in the inbox more than once although they were never uncertain. Must be 0. */
  unexplained: number
}

/** The status of each message of a run, and the cells that changed. */
export class MessageGrid {
  readonly #statuses: CellStatus[]
  readonly #uncertain: Uint8Array
  readonly #arrived: Uint32Array
  readonly #changed = new Set<number>()
  #unsettled: number

  constructor(count: number) {
    this.#statuses = new Array<CellStatus>(count).fill('waiting')
    this.#uncertain = new Uint8Array(count)
    this.#arrived = new Uint32Array(count)
    this.#unsettled = count
  }

  get unsettled(): number {
    return this.#unsettled
  }

  /** Returns the messages with this status. */
  indicesOf(status: CellStatus): number[] {
    return this.#statuses.flatMap((each, index) => (each === status ? [index] : []))
  }

  setStatus(index: number, status: CellStatus): void {
    const before = this.#statuses[index]
    if (before === undefined || before === status) return
    this.#unsettled += Number(FINAL.has(before)) - Number(FINAL.has(status))
    this.#statuses[index] = status
    this.#changed.add(index)
  }

  markUncertain(index: number): void {
    this.#uncertain[index] = 1
    this.#changed.add(index)
  }

  recordArrival(index: number): void {
    this.#arrived[index] = (this.#arrived[index] ?? 0) + 1
    this.#changed.add(index)
  }

  /** Returns the cells that changed since the last call. */
  takeChanges(): Cell[] {
    const cells = [...this.#changed].map((index) => this.#cell(index))
    this.#changed.clear()
    return cells
  }

  /** Returns all cells. */
  cells(): Cell[] {
    return this.#statuses.map((_, index) => this.#cell(index))
  }

  totals(): GridTotals {
    const statuses = Object.fromEntries(CELL_STATUSES.map((status) => [status, 0])) as Record<
      CellStatus,
      number
    >
    const totals: GridTotals = { statuses, uncertain: 0, arrived: 0, doubled: 0, unexplained: 0 }
    this.#statuses.forEach((status, index) => {
      const uncertain = this.#uncertain[index] === 1
      const arrived = this.#arrived[index] ?? 0
      statuses[status]++
      if (uncertain) totals.uncertain++
      if (arrived > 0) totals.arrived++
      if (arrived > 1) totals.doubled++
      if (arrived > 1 && !uncertain) totals.unexplained++
    })
    return totals
  }

  #cell(index: number): Cell {
    return [
      index,
      this.#statuses[index] ?? 'waiting',
      this.#uncertain[index] === 1 ? 1 : 0,
      this.#arrived[index] ?? 0,
    ]
  }
}
