import type { Pulse } from '../src/protocol/phaseBoard.js'
import { PulseBoard, type BoardSlot } from '../src/protocol/pulseBoard.js'
import type { ThreadSetup } from '../src/protocol/tasks.js'

type Listener = (change: 1 | -1) => void

let listener: Listener = () => undefined

/** Sets the thread's only listener for the beginning (1) and end (-1) of loading. */
function onLoading(next: Listener): void {
  listener = next
}

/**
 * Loads modules. Their evaluation blocks the event loop, on a busy machine for a long time: meanwhile the watchdog
 * allows as much time as a thread has to start.
 */
export async function whileLoading<T>(load: () => Promise<T>): Promise<T> {
  listener(1)
  try {
    return await load()
  } finally {
    listener(-1)
  }
}

/** Writes a thread's signs of life to the pulse board. */
export class Heartbeat implements Pulse {
  readonly #board: PulseBoard
  readonly #place: number
  readonly #timer: NodeJS.Timeout

  constructor({ pulses, beat }: Pick<ThreadSetup, 'pulses' | 'beat'>, place: number) {
    const board = new PulseBoard(pulses)
    this.#board = board
    this.#place = place
    this.#timer = setInterval(() => board.beat(place), beat).unref()
    onLoading((change) => board.load(place, change))
  }

  get beats(): number {
    return this.#board.beats(this.#place)
  }

  step(): void {
    this.#board.step(this.#place)
  }

  /** The thread has started; until now it counted as loading. */
  ready(): void {
    this.#board.load(this.#place, -1)
  }

  compile(change: 1 | -1): void {
    this.#board.compile(this.#place, change)
  }

  act(actor: BoardSlot | undefined): void {
    this.#board.act(this.#place, actor)
  }

  stop(): void {
    clearInterval(this.#timer)
    onLoading(() => undefined)
  }
}
