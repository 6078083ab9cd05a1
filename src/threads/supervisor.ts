import type { PhaseBoard } from '../protocol/phaseBoard.js'
import { PulseBoard } from '../protocol/pulseBoard.js'
import { CrashAttribution, type CrashRole } from './crashAttribution.js'
import { CrashLoop, type CrashLoopListener, type Outage } from './crashLoop.js'
import type { PoolSupervisor } from './pool.js'
import { PoolManager } from './poolManager.js'
import { Watchdog, type WatchdogOptions } from './watchdog.js'
import type { ThreadDied } from './workerChannel.js'

interface SupervisorOptions extends WatchdogOptions, CrashLoopListener {
  pulses: SharedArrayBuffer
  /** Shared threads; one more is isolated. */
  threads: number
}

/**
 * Supervises the threads: terminates blocked ones, attributes a crash to the delivery that caused it, and holds the mail
 * when threads die for other reasons.
 */
export class Supervisor implements PoolSupervisor {
  readonly #pulses: PulseBoard
  readonly #attribution: CrashAttribution
  readonly #watchdog: Watchdog
  readonly #crashLoop: CrashLoop
  readonly #isolatedPlace: number
  readonly #board: PhaseBoard
  #stopped = false

  constructor(board: PhaseBoard, options: SupervisorOptions) {
    this.#board = board
    this.#pulses = new PulseBoard(options.pulses)
    this.#attribution = new CrashAttribution(board, this.#pulses)
    this.#watchdog = new Watchdog(board, this.#pulses, options)
    this.#crashLoop = new CrashLoop(PoolManager.places(options.threads), options)
    this.#isolatedPlace = options.threads
  }

  /**
   * Begins the use of a slot.
   * @param id of the message, or the kind of render
   * @returns the generation of the slot
   */
  begin(slot: number, id: string): number {
    this.#watchdog.watch(slot)
    this.#attribution.begin(slot, id)
    return this.#board.assign(slot)
  }

  release(slot: number): void {
    this.#attribution.end(slot)
    this.#watchdog.release(slot)
  }

  /** Watches the threads during work that has no slot. */
  during<T>(work: Promise<T>): Promise<T> {
    return this.#watchdog.during(work)
  }

  /** Terminates a thread on request; no delivery is the cause. */
  terminate(thread: number): void {
    this.#watchdog.terminate(thread)
  }

  /** Returns the role of a slot's task that was rejected. Call it before `release`. */
  roleOf(slot: number, death: ThreadDied): CrashRole | 'closed' {
    return this.#stopped ? 'closed' : this.#attribution.roleOf(slot, death)
  }

  /** Returns why the watchdog terminated a thread, if it did. */
  terminationReason(thread: number): string | undefined {
    return this.#watchdog.terminationOf(thread)?.reason
  }

  /** Returns why a thread died: the watchdog's reason if it terminated it, or else the error that ended it. */
  reasonOf(death: ThreadDied): string {
    return this.terminationReason(death.thread) ?? death.reason
  }

  get outage(): Outage | undefined {
    return this.#crashLoop.outage
  }

  get releaseIn(): number {
    return this.#crashLoop.releaseIn
  }

  /** Returns why the shared threads, or the isolated one, take no mail; undefined if they do. */
  outageOf(isolated: boolean): Outage | undefined {
    return this.#crashLoop.holds(isolated ? this.#isolatedPlace : 0) ? this.outage : undefined
  }

  /** Call this before the threads are terminated: later deaths are not crashes. */
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
    const termination = this.#watchdog.terminationOf(death.thread)
    const hasCulprit = this.#attribution.attribute(death, { place, isolated, termination })
    const counts = !hasCulprit && termination?.cause !== 'requested'
    this.#crashLoop.died(place, counts, this.reasonOf(death))
  }

  ended(place: number): void {
    this.#crashLoop.ended(place)
  }

  delay(): number {
    return this.#crashLoop.delay()
  }
}
