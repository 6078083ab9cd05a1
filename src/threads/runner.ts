import { type EventLoopUtilityFunction, type EventLoopUtilization, performance } from 'node:perf_hooks'
import type { Evidence } from '../protocol/evidence.js'
import type { Outcome, Phase } from '../protocol/outcome.js'
import type {
  ComposedParts,
  Content,
  DeliverTask,
  JsonObject,
  MessagePayload,
  RenderResult,
} from '../protocol/tasks.js'
import type { TemplateListing, TemplateNotes, TemplateSetup } from '../protocol/templateManifest.js'
import type { TransportConfig, TransportReport } from '../protocol/transportConfig.js'
import type { Member } from '../structures/indexedBag.js'
import type { CrashRole } from './crashAttribution.js'
import type { Outage } from './crashLoop.js'

/** A delivery as the dispatcher hands it over. */
export interface DeliveryOrder extends Member, OrderedTask {
  /** As {@link DeliverySlots.reserve} gave it: no other delivery has it before it is released. */
  readonly slot: number
  /** Where it stands on the board; kept by {@link Claims}. */
  claim: { slot: number; generation: number } | undefined
}

type OrderedTask = Pick<
  DeliverTask,
  'payload' | 'recipients' | 'transport' | 'attempt' | 'note' | 'expiresAt' | 'notBefore'
>

/**
 * What became of handing a delivery over: its outcome, or the death of its thread with what the board says.
 *
 * - `culprit`, `suspect`, `bystander`: see `Blame`.
 * - `closed`: nobody; the runner was closed. It won't deliver again.
 */
export type RunResult =
  { died: false; outcome: Outcome } | { died: true; blame: CrashRole | 'closed'; evidence: Evidence }

/** How many deliveries are in each phase. */
export type PhaseCounts = Record<Phase, number>

export interface ThreadStatus {
  /** Id of the thread, as in an attempt's `thread`; 0 is the main thread. */
  thread: number
  /** Deliveries and renders it has to do. */
  delivering: number
  /** SMTP connections it has open. */
  connections: number
  /** Share of the last second or more that its event loop was busy, 0 to 1. */
  busy: number
  /** How far the deliveries have got that it has taken up. */
  phases: PhaseCounts
}

/** Places for deliveries. One is reserved before its delivery begins, and released once that has ended. */
export interface DeliverySlots {
  /** Deliveries that may be under way at a time; may change from one to the next. */
  readonly capacity: number
  /** How many more may begin now. */
  readonly free: number
  /** @returns undefined when none is free */
  reserve(): number | undefined
  /** Gives a slot back; once more does nothing. */
  release(slot: number): void
}

/** Where deliveries run: in a pool of threads, or in the calling thread. */
export interface Runner {
  readonly slots: DeliverySlots
  /** @throws ThreadpostError `START_FAILED` when a delivery could not run. */
  start(): Promise<TemplateListing>
  /** What templates there are now. */
  listTemplates(): Promise<TemplateListing>
  /** Why no thread takes mail at present, if none does: threads die again and again, and no message is to blame. */
  readonly outage: Outage | undefined
  /** Milliseconds for which to hold a message that met an outage, at least. */
  readonly releaseIn: number
  /** `alone`: in a thread without another delivery, where it is known whose code runs. */
  deliver(order: DeliveryOrder, alone: boolean): Promise<RunResult>
  /**
   * Takes back a delivery that is under way, unless its envelope has been sent.
   * @returns whether it was; it then ends as `withdrawn`
   */
  withdraw(order: DeliveryOrder): boolean
  /** @throws ThreadpostError `TEMPLATE_ERROR` when the thread died or took too long. */
  render(content: Content, context?: JsonObject): Promise<RenderResult>
  /** Builds a message as it would be sent. @throws as `render()` */
  compose(payload: MessagePayload): Promise<RenderResult<ComposedParts>>
  /** How a template compiles. @throws as `render()` */
  inspect(content: Content): Promise<RenderResult<TemplateNotes>>
  /** Tries a transport in a thread. */
  verify(transport: string): Promise<TransportReport>
  /** Gives every thread, and those to come, other settings of transports. */
  reloadTransports(transports: readonly TransportConfig[]): Promise<void>
  /**
   * Gives every thread, and those to come, other templates. What is being rendered ends with the old ones.
   * Rejects where a thread can't use them; then every thread keeps those it had.
   */
  reloadTemplates(templates: TemplateSetup): Promise<void>
  threads(): ThreadStatus[]
  /** Ends the busiest thread, whatever it does. @returns its id, if there is one to end */
  endThread(): number | undefined
  /** How far all deliveries and renders under way have got. */
  phases(): PhaseCounts
  /** Says goodbye on open connections and ends the threads. */
  close(): Promise<void>
}

/** A share is taken over this time at least, in ms: shorter ones jump about. */
const SPAN = 1_000

/** How busy an event loop was lately: read by whoever asks, however often. */
export class LoadMeter {
  readonly #utilization: EventLoopUtilityFunction
  #from: EventLoopUtilization
  #to: EventLoopUtilization
  #at = performance.now()

  /** @param utilization of a thread's `performance`, or one's own */
  constructor(utilization: EventLoopUtilityFunction) {
    this.#utilization = utilization
    this.#from = this.#to = utilization()
  }

  /** 0 to 1, over the last second or since it was last asked, whichever is longer. */
  share(): number {
    const now = performance.now()
    if (now - this.#at >= SPAN) {
      this.#from = this.#to
      this.#to = this.#utilization()
      this.#at = now
    }
    // Until a span is over: since the beginning.
    const to = this.#from === this.#to ? this.#utilization() : this.#to
    return this.#utilization(to, this.#from).utilization
  }
}
