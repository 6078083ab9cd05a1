import type { PhaseBoard } from '../protocol/phaseBoard.js'
import { PulseBoard } from '../protocol/pulse.js'
import { CrashAttribution, type CrashRole } from './crashAttribution.js'
import { CrashLoop, type CrashLoopListener, type Outage } from './crashLoop.js'
import type { PoolSupervisor } from './pool.js'
import { PoolManager } from './poolManager.js'
import { Watchdog, type WatchdogOptions } from './watchdog.js'
import type { ThreadDied } from './workerChannel.js'

interface SupervisorOptions extends WatchdogOptions, CrashLoopListener {
  pulses: SharedArrayBuffer
  /** Threads that are shared; one more is isolated. */
  threads: number
}

/**
 * Watches over the threads: ends those that stand still, says which delivery a dead one died of, and holds the mail
 * when threads die of something else.
 */
export class Supervisor implements PoolSupervisor {
  readonly #pulses: PulseBoard
  readonly #blame: CrashAttribution
  readonly #watchdog: Watchdog
  readonly #crashLoop: CrashLoop
  readonly #isolatedPlace: number
  readonly #board: PhaseBoard
  #stopped = false

  constructor(board: PhaseBoard, options: SupervisorOptions) {
    this.#board = board
    this.#pulses = new PulseBoard(options.pulses)
    this.#blame = new CrashAttribution(board, this.#pulses)
    this.#watchdog = new Watchdog(board, this.#pulses, options)
    this.#crashLoop = new CrashLoop(PoolManager.places(options.threads), options)
    this.#isolatedPlace = options.threads
  }

  /**
   * A slot is in use.
   * @param id of its message, or of what it is in use for
   * @returns the generation of the slot
   */
  begin(slot: number, id: string): number {
    this.#watchdog.watch(slot)
    this.#blame.begin(slot, id)
    return this.#board.assign(slot)
  }

  release(slot: number): void {
    this.#blame.end(slot)
    this.#watchdog.release(slot)
  }

  /** Watches while something is done that has no slot. */
  during<T>(work: Promise<T>): Promise<T> {
    return this.#watchdog.during(work)
  }

  /** Ends a thread because somebody wants that; no delivery is to blame. */
  terminate(thread: number): void {
    this.#watchdog.terminate(thread)
  }

  /** To be asked when the slot's task was rejected, before `leave`. */
  roleOf(slot: number, death: ThreadDied): CrashRole | 'closed' {
    return this.#stopped ? 'closed' : this.#blame.roleOf(slot, death)
  }

  /** Why a thread was ended, if it was ended here. */
  terminationReason(thread: number): string | undefined {
    return this.#watchdog.terminationOf(thread)?.reason
  }

  get outage(): Outage | undefined {
    return this.#crashLoop.outage
  }

  get releaseIn(): number {
    return this.#crashLoop.releaseIn
  }

  /** Why the shared threads, or the isolated one, take no mail, if they don't. */
  outageOf(isolated: boolean): Outage | undefined {
    return this.#crashLoop.holds(isolated ? this.#isolatedPlace : 0) ? this.outage : undefined
  }

  /** The threads are to end. */
  stop(): void {
    this.#stopped = true
    this.#watchdog.stop()
    this.#crashLoop.close()
  }

  opening(place: number): void {
    this.#pulses.begin(place)
  }

  ready(place: number): void {
    this.#crashLoop.ready(place)
  }

  broken(place: number, death: ThreadDied, isolated: boolean): void {
    const ending = this.#watchdog.terminationOf(death.thread)
    const hasCulprit = this.#blame.attribute(death, { place, isolated, ending })
    const counts = !hasCulprit && ending?.cause !== 'asked'
    this.#crashLoop.died(place, counts, ending?.reason ?? death.reason)
  }

  ended(place: number): void {
    this.#crashLoop.ended(place)
  }

  delay(): number {
    return this.#crashLoop.delay()
  }
}
