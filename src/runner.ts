import type { Outcome } from './outcome.js'
import type { Evidence } from './phases.js'
import type {
  Catalogue,
  Content,
  DeliverTask,
  RenderResult,
  TransportConfig,
  TransportReport,
} from './wire.js'

/** A delivery as the dispatcher hands it over; the runner finds it a slot. */
export type DeliveryOrder = Pick<
  DeliverTask,
  'letter' | 'recipients' | 'transport' | 'attempt' | 'note' | 'expiresAt'
>

/**
 * What became of handing a delivery over: its outcome, or the death of its thread with what the board says.
 *
 * - `guilty`: it was rendering, or alone in its thread: it brought the thread down.
 * - `suspect`: nobody was rendering; it may have left something behind that did.
 * - `innocent`: another one did it.
 * - `closed`: nobody; the runner was closed. It won't deliver again.
 */
export type RunResult =
  | { died: false; outcome: Outcome }
  | { died: true; blame: 'guilty' | 'suspect' | 'innocent' | 'closed'; evidence: Evidence }

export interface ThreadStatus {
  thread: number
  delivering: number
}

/** Where deliveries run: in a pool of threads, or in the calling thread. */
export interface Runner {
  /** Deliveries at a time. */
  readonly slots: number
  /** @throws ThreadpostError `START_FAILED` when a delivery could not run. */
  start(): Promise<Catalogue>
  /** What templates there are now. */
  catalogue(): Promise<Catalogue>
  /** `alone`: with no other delivery in its thread, so that a death is its own. */
  deliver(order: DeliveryOrder, alone: boolean): Promise<RunResult>
  /**
   * Takes back a delivery that is under way, unless its envelope has been sent.
   * @returns whether it was; it then ends as `withdrawn`
   */
  withdraw(order: DeliveryOrder): boolean
  /** @throws ThreadpostError `TEMPLATE_ERROR` when the thread died or took too long. */
  render(content: Content): Promise<RenderResult>
  /** Tries a transport in a thread. */
  verify(transport: string): Promise<TransportReport>
  /** Gives every thread, and those to come, other settings of transports. */
  reload(transports: readonly TransportConfig[]): Promise<void>
  threads(): ThreadStatus[]
  /** Ends the busiest thread, whatever it does. @returns its id, if there is one to end */
  endThread(): number | undefined
  /** Says goodbye on open connections and ends the threads. */
  close(): Promise<void>
}
