import { performance } from 'node:perf_hooks'
import type { Deliverer } from '../../workers/deliver.js'
import { ThreadpostError } from '../errors.js'
import { PHASES } from '../protocol/outcome.js'
import { PhaseBoard } from '../protocol/phaseBoard.js'
import {
  type ComposedParts,
  type Content,
  type JsonObject,
  type MessagePayload,
  type RenderResult,
  sharedClock,
  type ThreadLogLine,
  type ThreadSetup,
} from '../protocol/tasks.js'
import { type TemplateListing, type TemplateNotes, type TemplateSetup } from '../protocol/templateManifest.js'
import type { TransportReport, TransportUpdate } from '../protocol/transportConfig.js'
import { CancellationRegistry } from './cancellationRegistry.js'
import {
  type DeliveryOrder,
  LoadMeter,
  type PhaseCounts,
  type Runner,
  type RunResult,
  type ThreadStatus,
} from './runner.js'
import { SlotPool } from './slotPool.js'
import { TemplateLister } from './templateLister.js'

/**
 * Runs the same deliveries in the calling thread (`threads: 0`). Its CPU time is the caller's, and a crash ends the process.
 * Application code is not contained: an endless loop, or endless ticks, block the process, and an error that a timer throws
 * ends it. No message is marked `POISON`, and no mail is held with the reason `setup`.
 */
export class InlineRunner implements Runner {
  readonly slots: SlotPool
  readonly outage = undefined
  readonly releaseIn = 0
  readonly #setup: ThreadSetup
  readonly #board: PhaseBoard
  readonly #cancellations: CancellationRegistry
  readonly #log: (line: ThreadLogLine) => void
  readonly #busy = new LoadMeter((...readings) => performance.eventLoopUtilization(...readings))
  #deliverer: Deliverer | undefined
  #delivering = 0
  #connections = 0

  /** @param log receives the log lines of the application's modules */
  constructor(setup: ThreadSetup, concurrency: number, log: (line: ThreadLogLine) => void) {
    this.#log = log
    this.#setup = setup
    this.#board = new PhaseBoard(setup.board, setup.recipientsPerSlot)
    this.slots = new SlotPool(concurrency, 1)
    this.#cancellations = new CancellationRegistry(this.#board)
  }

  async start(): Promise<TemplateListing> {
    const { Deliverer } = await import('../../workers/deliver.js')
    this.#deliverer = new Deliverer(this.#setup, 0, this.#log, ({ open }) => {
      this.#connections = open
    })
    try {
      return await this.#deliverer.listTemplates()
    } catch (error) {
      throw startFailed(error)
    }
  }

  listTemplates(): Promise<TemplateListing> {
    return this.#started().listTemplates()
  }

  async deliver(order: DeliveryOrder): Promise<RunResult> {
    const { slot } = order
    this.#delivering++
    try {
      const generation = this.#board.assign(slot)
      this.#cancellations.register(order, slot, generation)
      const handedOverAt = sharedClock()
      const reply = await this.#started().deliver({ ...order, generation, handedOverAt })
      return reply.result === 'loaded' ? { died: false, loaded: reply } : { died: false, outcome: reply }
    } finally {
      this.#cancellations.release(order)
      this.#delivering--
    }
  }

  withdraw(order: DeliveryOrder): boolean {
    return this.#cancellations.withdraw(order)
  }

  render(content: Content, context?: JsonObject): Promise<RenderResult> {
    const task = context === undefined ? { content } : { content, context }
    return this.#inSlot((slot) => this.#started().render({ ...task, ...slot }))
  }

  compose(payload: MessagePayload): Promise<RenderResult<ComposedParts>> {
    return this.#inSlot((slot) => this.#started().compose({ payload, ...slot }))
  }

  inspect(content: Content): Promise<RenderResult<TemplateNotes>> {
    return this.#inSlot((slot) => this.#started().inspect({ content, ...slot }))
  }

  async #inSlot<T>(work: (place: { slot: number; generation: number }) => Promise<T>): Promise<T> {
    const slot = await this.slots.acquireForRender()
    try {
      return await work({ slot, generation: this.#board.assign(slot) })
    } finally {
      this.slots.releaseForRender(slot)
    }
  }

  verify(transport: string): Promise<TransportReport> {
    return this.#started().verify(transport)
  }

  updateTransports(update: TransportUpdate): Promise<void> {
    return this.#started().updateTransports(update)
  }

  reloadTemplates(templates: TemplateSetup): Promise<void> {
    return this.#started().reloadTemplates(templates)
  }

  threads(): ThreadStatus[] {
    return [
      {
        thread: 0,
        delivering: this.#delivering,
        connections: this.#connections,
        busy: this.#busy.share(),
        phases: this.phases(),
      },
    ]
  }

  phases(): PhaseCounts {
    return this.#board.countPhases(this.slots.used())
  }

  endThread(): undefined {
    return undefined
  }

  async close(): Promise<void> {
    await this.#deliverer?.quit()
  }

  #started(): Deliverer {
    if (this.#deliverer === undefined) throw new Error('the runner has not been started')
    return this.#deliverer
  }
}

/**
 * The runner of a mailer that only accepts mail (`role: 'send'`): it renders and delivers nothing. It lists the templates in a thread
 * that ends afterwards, so that `send()` reports unknown templates and missing data.
 */
export class DisabledRunner implements Runner {
  readonly slots = new SlotPool(0, 0)
  readonly outage = undefined
  readonly releaseIn = 0
  readonly #lister: TemplateLister | undefined

  /** @param log receives the log lines of the application's modules */
  constructor(templates: TemplateSetup | undefined, log: (line: ThreadLogLine) => void) {
    this.#lister = templates === undefined ? undefined : new TemplateLister(templates, log)
  }

  async start(): Promise<TemplateListing> {
    try {
      return await this.listTemplates()
    } catch (error) {
      throw startFailed(error)
    }
  }

  async listTemplates(): Promise<TemplateListing> {
    return (await this.#lister?.list()) ?? { templates: [] }
  }

  deliver(): Promise<never> {
    return Promise.reject(unsupported('delivers nothing'))
  }

  withdraw(): boolean {
    return false
  }

  render(): Promise<never> {
    return Promise.reject(unsupported('renders nothing'))
  }

  compose(): Promise<never> {
    return Promise.reject(unsupported('renders nothing'))
  }

  inspect(): Promise<never> {
    return Promise.reject(unsupported('compiles nothing'))
  }

  verify(): Promise<never> {
    return Promise.reject(unsupported('has no transports'))
  }

  updateTransports(): Promise<void> {
    return Promise.resolve()
  }

  async reloadTemplates(templates: TemplateSetup): Promise<void> {
    await this.#lister?.replace(templates)
  }

  endThread(): undefined {
    return undefined
  }

  threads(): [] {
    return []
  }

  phases(): PhaseCounts {
    return Object.fromEntries(PHASES.map((phase) => [phase, 0])) as PhaseCounts
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

function unsupported(what: string): ThreadpostError {
  return new ThreadpostError('UNSUPPORTED', `A mailer with role 'send' ${what}; ask one that delivers`)
}

function startFailed(error: unknown): ThreadpostError {
  if (error instanceof ThreadpostError) return error
  return new ThreadpostError('START_FAILED', `The mailer can't start: ${(error as Error).message}`, {
    cause: error,
  })
}
