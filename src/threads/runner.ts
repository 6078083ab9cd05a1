import { type EventLoopUtilityFunction, type EventLoopUtilization, performance } from 'node:perf_hooks'
import type { Evidence } from '../protocol/evidence.js'
import type { Outcome, Phase } from '../protocol/outcome.js'
import type {
  ComposedParts,
  Content,
  DeliverTask,
  JsonObject,
  LoadReply,
  MessagePayload,
  RenderResult,
} from '../protocol/tasks.js'
import type { TemplateListing, TemplateNotes, TemplateSetup } from '../protocol/templateManifest.js'
import type { TransportReport, TransportUpdate } from '../protocol/transportConfig.js'
import type { Member } from '../structures/indexedBag.js'
import type { CrashRole } from './crashAttribution.js'
import type { Outage } from './crashLoop.js'

/** A delivery as the dispatcher hands it to a runner. */
export interface DeliveryOrder extends Member, OrderedTask {
  /** From {@link DeliverySlots.reserve}: no other delivery has it until it is released. */
  readonly slot: number
  /** Its slot on the phase board while it can be cancelled; set by `CancellationRegistry`. */
  claim: { slot: number; generation: number } | undefined
  /** Prefix of the transport's name in the threads, if several mailers share them: see `RunnerHub`. */
  scope?: string
}

type OrderedTask = Pick<
  DeliverTask,
  'payload' | 'recipients' | 'transport' | 'attempt' | 'uncertain' | 'note' | 'expiresAt' | 'notBefore'
>

/**
 * The result of one delivery: its outcome, what its `load` function returned, or the death of its thread with the evidence from the phase board.
 *
 * - `culprit`, `suspect`, `bystander`: the role of the delivery in the crash; see `CrashAttribution`.
 * - `loaded`: the template's `load` function has run, and nothing was sent.
 * - `closed`: there was no crash; the runner was closed and won't deliver again.
 *
 * `reason` is why the thread died, readable for users.
 */
export type RunResult =
  | { died: false; outcome: Outcome }
  | { died: false; loaded: LoadReply }
  | { died: true; role: CrashRole | 'closed'; evidence: Evidence; reason: string }

/** The number of deliveries and renders in each phase. */
export type PhaseCounts = Record<Phase, number>

export interface ThreadStatus {
  /** Id of the thread, as in an attempt's `thread`; 0 is the main thread. */
  thread: number
  /** Deliveries and renders that it works on. */
  delivering: number
  /** Open SMTP connections. */
  connections: number
  /** Share of at least the last second that its event loop was busy, 0 to 1. */
  busy: number
  /** Its deliveries and renders by phase. */
  phases: PhaseCounts
}

/** Slots for deliveries. A slot is reserved before its delivery begins, and released when that has ended. */
export interface DeliverySlots {
  /** Deliveries that may be in progress at a time; it may change with each delivery. */
  readonly capacity: number
  /** How many more may begin now. */
  readonly free: number
  /** @returns undefined when none is free */
  reserve(): number | undefined
  /** Lets another delivery begin in place of one that waits for its server, until the slot is released. */
  lend(slot: number): void
  /** Releases a slot. Releasing it again does nothing. */
  release(slot: number): void
}

/** Runs deliveries, in a pool of threads or in the calling thread. */
export interface Runner {
  readonly slots: DeliverySlots
  /** Lists the templates once deliveries can run. @throws ThreadpostError `START_FAILED` */
  start(): Promise<TemplateListing>
  /** Lists the current templates. */
  listTemplates(): Promise<TemplateListing>
  /** Why no thread takes mail, if none does: threads die again and again, and no message is the cause. */
  readonly outage: Outage | undefined
  /** Milliseconds to hold a message that met an outage, at least. */
  readonly releaseIn: number
  /** @param isolated in a thread without another delivery, which tracks whose code runs */
  deliver(order: DeliveryOrder, isolated: boolean): Promise<RunResult>
  /**
   * Withdraws a delivery that is in progress, unless its envelope has been sent.
   * @returns whether it was withdrawn; it then ends with that result
   */
  withdraw(order: DeliveryOrder): boolean
  /** @throws ThreadpostError `TEMPLATE_ERROR` if the thread died or took too long. */
  render(content: Content, context?: JsonObject): Promise<RenderResult>
  /** Builds a message without sending it. @throws as `render()` */
  compose(payload: MessagePayload): Promise<RenderResult<ComposedParts>>
  /** Returns the notes about how a template compiles. @throws as `render()` */
  inspect(content: Content): Promise<RenderResult<TemplateNotes>>
  /** Tests a transport in a thread. */
  verify(transport: string): Promise<TransportReport>
  /** Gives every thread, including future ones, new transport settings, and takes transports away. */
  updateTransports(update: TransportUpdate): Promise<void>
  /**
   * Gives every thread, including future ones, new templates. Renders in progress finish with the old ones.
   * Rejects if a thread can't use the new ones; every thread then keeps the old ones.
   */
  reloadTemplates(templates: TemplateSetup): Promise<void>
  threads(): ThreadStatus[]
  /** Terminates the busiest thread, whatever it does. @returns its id, or undefined if there is none */
  endThread(): number | undefined
  /** All deliveries and renders in progress, by phase. */
  phases(): PhaseCounts
  /** Sends QUIT on open connections and ends the threads. */
  close(): Promise<void>
}

/** Shortest measured time span, in ms: the share of a shorter one fluctuates too much. */
const SPAN = 1_000

/** Measures how busy an event loop was recently. It can be read at any time and rate. */
export class LoadMeter {
  readonly #utilization: EventLoopUtilityFunction
  #from: EventLoopUtilization
  #to: EventLoopUtilization
  #at = performance.now()

  /** @param utilization of a worker's `performance`, or of the calling thread's */
  constructor(utilization: EventLoopUtilityFunction) {
    this.#utilization = utilization
    this.#from = this.#to = utilization()
  }

  /** 0 to 1, over the last second or since the previous call, whichever is longer. */
  share(): number {
    const now = performance.now()
    if (now - this.#at >= SPAN) {
      this.#from = this.#to
      this.#to = this.#utilization()
      this.#at = now
    }
    // In the first span: since the beginning.
    const to = this.#from === this.#to ? this.#utilization() : this.#to
    return this.#utilization(to, this.#from).utilization
  }
}
