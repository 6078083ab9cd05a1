import { ThreadpostError } from '../errors.js'
import { NOTHING_STARTED } from '../protocol/evidence.js'
import { PhaseBoard } from '../protocol/phaseBoard.js'
import {
  type ComposedParts,
  type Content,
  type DeliverTask,
  type JsonObject,
  type MessagePayload,
  type RenderResult,
  sharedClock,
} from '../protocol/tasks.js'
import type { TemplateListing, TemplateNotes, TemplateSetup } from '../protocol/templateManifest.js'
import type { TransportConfig, TransportReport, TransportUpdate } from '../protocol/transportConfig.js'
import { setupFailure } from '../protocol/unsentOutcome.js'
import { CancellationRegistry } from './cancellationRegistry.js'
import type { CrashLoopListener, Outage } from './crashLoop.js'
import type { Pool, PoolOptions } from './pool.js'
import { PoolManager } from './poolManager.js'
import { RenderRequests } from './renderRequests.js'
import type { DeliveryOrder, PhaseCounts, Runner, RunResult, ThreadStatus } from './runner.js'
import { InFlightWindow, SlotPool } from './slotPool.js'
import { Supervisor } from './supervisor.js'
import { ThreadDied } from './workerChannel.js'

export interface ThreadRunnerOptions extends PoolOptions, CrashLoopListener {
  /** Deliveries at a time in each thread. */
  concurrency: number
  /** Milliseconds that a thread may take to start, or to load modules. */
  startLimit: number
  /** Milliseconds that one delivery may render. */
  renderLimit: number
  /** Milliseconds that compiling a template may take. */
  compileLimit: number
  /** Milliseconds that one attempt may take in all. */
  attemptLimit: number
}

/** Milliseconds after its time limit at which the main thread ends an attempt, because its thread did not. */
const OVERDUE = 5_000

const CLOSED: RunResult = {
  died: true,
  role: 'closed',
  evidence: NOTHING_STARTED,
  reason: 'The mailer was closed.',
}

/** Runs deliveries in worker threads. When a thread dies, the phase board shows what that means for each of its deliveries. */
export class ThreadRunner implements Runner {
  readonly #options: ThreadRunnerOptions
  /** The number of threads that serve a transport, for each that has fewer connections than there are threads. */
  readonly #threadLimits = new Map<string, number>()
  readonly #window: InFlightWindow
  readonly #board: PhaseBoard
  readonly slots: SlotPool
  readonly #cancellations: CancellationRegistry
  readonly #supervisor: Supervisor
  readonly #pools: PoolManager
  readonly #renders: RenderRequests
  #closed: Promise<void> | undefined

  constructor(options: ThreadRunnerOptions) {
    const { setup, threads, concurrency } = options
    this.#options = options
    for (const transport of setup.transports.values()) this.#limitThreads(transport)
    this.#window = new InFlightWindow(threads * concurrency, () => this.#pools.pipelined)
    this.#board = new PhaseBoard(setup.board, setup.recipientsPerSlot)
    this.slots = new SlotPool(InFlightWindow.maxSize(threads * concurrency), threads, () => this.#window.size)
    this.#cancellations = new CancellationRegistry(this.#board)
    const supervisor = new Supervisor(this.#board, {
      pulses: setup.pulses,
      threads,
      render: options.renderLimit,
      compile: options.compileLimit,
      task: options.attemptLimit + options.renderLimit + options.compileLimit + OVERDUE,
      start: options.startLimit,
      threadsToWatch: () => this.#pools.watched(),
      terminate: (thread) => this.#pools.terminate(thread),
      describe: options.describe.bind(options),
      held: options.held.bind(options),
      released: options.released.bind(options),
    })
    this.#supervisor = supervisor
    this.#pools = new PoolManager(
      {
        ...options,
        died: (thread, reason) => options.died(thread, supervisor.terminationReason(thread) ?? reason),
      },
      supervisor,
    )
    this.#renders = new RenderRequests(this.#pools, this.slots, supervisor)
  }

  get outage(): Outage | undefined {
    return this.#supervisor.outage
  }

  get releaseIn(): number {
    return this.#supervisor.releaseIn
  }

  async start(): Promise<TemplateListing> {
    const { startLimit } = this.#options
    let timer: NodeJS.Timeout | undefined
    const tooLong = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new Error(`no thread was ready within ${startLimit} ms (limits.start)`))
      }, startLimit)
    })
    try {
      return await Promise.race([this.#probe(), tooLong])
    } catch (error) {
      const termination = error instanceof ThreadDied && this.#supervisor.terminationReason(error.thread)
      const reason = termination ? `a thread was terminated, because ${termination}` : reasonOf(error)
      await this.close()
      throw new ThreadpostError('START_FAILED', `The mailer can't start: ${reason}`, { cause: error })
    } finally {
      clearTimeout(timer)
    }
  }

  /** Asks for the templates. A thread that dies after it had started does not fail the start: `CrashLoop` handles that. */
  async #probe(): Promise<TemplateListing> {
    for (;;) {
      try {
        return await this.#supervisor.during(this.#pools.shared.ask('probe', undefined))
      } catch (error) {
        if (!(error instanceof ThreadDied && error.ready) || this.outage !== undefined) throw error
      }
    }
  }

  listTemplates(): Promise<TemplateListing> {
    return this.#supervisor.during(this.#pools.shared.ask('probe', undefined))
  }

  deliver(order: DeliveryOrder, isolated: boolean): Promise<RunResult> {
    return isolated
      ? this.#pools.isolated((pool) => this.#deliverIn(pool, order))
      : this.#deliverIn(this.#pools.shared, order)
  }

  withdraw(order: DeliveryOrder): boolean {
    return this.#cancellations.withdraw(order)
  }

  render(content: Content, context?: JsonObject): Promise<RenderResult> {
    return this.#renders.run('render', context === undefined ? { content } : { content, context })
  }

  compose(payload: MessagePayload): Promise<RenderResult<ComposedParts>> {
    return this.#renders.run('compose', { payload })
  }

  inspect(content: Content): Promise<RenderResult<TemplateNotes>> {
    return this.#renders.run('inspect', { content })
  }

  verify(transport: string): Promise<TransportReport> {
    return this.#supervisor.during(this.#pools.shared.ask('verify', { transport }))
  }

  async updateTransports(update: TransportUpdate): Promise<void> {
    const { set, remove } = update
    const { transports } = this.#options.setup
    for (const name of remove) {
      transports.delete(name)
      this.#threadLimits.delete(name)
    }
    for (const transport of set) {
      transports.set(transport.name, transport)
      this.#limitThreads(transport)
    }
    await this.#supervisor.during(this.#pools.askAll('updateTransports', update))
  }

  #limitThreads({ name, connections }: TransportConfig): void {
    if (connections !== undefined && connections < this.#options.threads)
      this.#threadLimits.set(name, connections)
    else this.#threadLimits.delete(name)
  }

  async reloadTemplates(templates: TemplateSetup): Promise<void> {
    const { setup } = this.#options
    const before = setup.templates
    setup.templates = templates
    try {
      await this.#supervisor.during(this.#pools.askAll('reloadTemplates', { templates }))
    } catch (error) {
      if (before === undefined) throw error
      setup.templates = before
      await this.#pools.askAll('reloadTemplates', { templates: before }).catch(() => undefined)
      throw error
    }
  }

  threads(): ThreadStatus[] {
    const slots = this.slots.used()
    return this.#pools.threads().map(({ thread, load, connections, busy }) => ({
      thread,
      delivering: load,
      connections,
      busy,
      phases: this.#board.countPhases(slots, thread),
    }))
  }

  endThread(): number | undefined {
    const [busiest] = this.#pools.threads().sort((a, b) => b.load - a.load)
    if (busiest !== undefined) this.#supervisor.terminate(busiest.thread)
    return busiest?.thread
  }

  phases(): PhaseCounts {
    return this.#board.countPhases(this.slots.used())
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#supervisor.stop()
    await this.#pools.close()
  }

  async #deliverIn(pool: Pool, order: DeliveryOrder): Promise<RunResult> {
    const withdrawn = this.#cancellations.outcomeIfWithdrawn(order)
    if (withdrawn !== undefined) return { died: false, outcome: withdrawn }
    if (this.#closed !== undefined) return CLOSED
    const outage = this.#outageIn(pool)
    if (outage !== undefined) return { died: false, outcome: setupFailure(outage.reason) }
    const { slot } = order
    const generation = this.#supervisor.begin(slot, order.payload.id)
    this.#cancellations.register(order, slot, generation)
    const bytes = attachedBytes(order)
    this.#window.recordStart(bytes)
    try {
      const task = taskOf(order, generation)
      const reply = await pool.ask('deliver', task, this.#threadLimits.get(task.transport))
      return reply.result === 'loaded' ? { died: false, loaded: reply } : { died: false, outcome: reply }
    } catch (error) {
      if (!(error instanceof ThreadDied)) throw error
      return {
        died: true,
        role: this.#supervisor.roleOf(slot, error),
        evidence: this.#board.read(slot, order.recipients.length),
        reason: this.#options.describe(this.#supervisor.reasonOf(error)),
      }
    } finally {
      this.#cancellations.release(order)
      this.#supervisor.release(slot)
      this.#window.recordEnd(performance.now(), bytes)
    }
  }

  /** Returns why a pool takes no mail; undefined if it does. */
  #outageIn(pool: Pool): Outage | undefined {
    return this.#supervisor.outageOf(pool !== this.#pools.shared)
  }
}

/** Returns the cause of a thread's death rather than the fact. */
function reasonOf(error: unknown): string {
  if (error instanceof ThreadDied) return error.reason
  return error instanceof Error ? error.message : String(error)
}

/** Returns what a thread gets of an order. */
function taskOf(order: DeliveryOrder, generation: number): DeliverTask {
  const { slot, payload, recipients, scope = '', attempt, expiresAt } = order
  const task: DeliverTask = {
    payload,
    recipients,
    transport: `${scope}${order.transport}`,
    attempt,
    expiresAt,
    slot,
    generation,
    handedOverAt: sharedClock(),
  }
  const { uncertain, note, notBefore } = order
  if (uncertain !== undefined) task.uncertain = uncertain
  if (note !== undefined) task.note = note
  if (notBefore !== undefined) task.notBefore = notBefore
  return task
}

/** Returns the size of the message's attachments. */
function attachedBytes({ payload }: DeliveryOrder): number {
  return payload.attachments.reduce((sum, { size }) => sum + size, 0)
}
