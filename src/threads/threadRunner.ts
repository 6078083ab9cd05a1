import { Blame } from './blame.js'
import { census } from './census.js'
import { Claims } from './claims.js'
import { Credit } from './credit.js'
import { ThreadpostError } from '../errors.js'
import { ThreadDied } from './lane.js'
import type { AnswerOf, TaskOf } from '../wire/requests.js'
import { type Evidence, PhaseBoard } from '../wire/phases.js'
import type { Pool, PoolOptions } from './pool.js'
import { Pools } from './pools.js'
import type { DeliveryOrder, PhaseCounts, Runner, RunResult, ThreadStatus } from './runner.js'
import { Slots } from './slots.js'
import { Watchdog } from './watchdog.js'
import {
  sharedClock,
  type ComposedParts,
  type Content,
  type DeliverTask,
  type JsonObject,
  type Letter,
  type RenderResult,
} from '../wire/tasks.js'
import type { TransportConfig, TransportReport } from '../wire/transports.js'
import type { Catalogue, TemplateNotes, TemplateSetup } from '../wire/templates.js'

export interface ThreadRunnerOptions extends PoolOptions {
  /** Deliveries at a time in each thread. */
  concurrency: number
  /** Milliseconds. */
  renderLimit: number
  attemptLimit: number
}

/** Requests that run a template's code and send nothing. */
type Rendering = 'render' | 'compose' | 'inspect'

const START_LIMIT = 30_000
const NOTHING_DONE: Evidence = { phase: 'waiting', thread: 0, reply: 0, recipients: [] }
/** A thread whose attempt is overdue by this much no longer keeps its own time. */
const OVERDUE = 5_000

/** Deliveries in worker threads. What the death of a thread means for each is read off the phase board. */
export class ThreadRunner implements Runner {
  readonly #options: ThreadRunnerOptions
  #fewThreads: ReadonlyMap<string, number>
  readonly #credit: Credit
  readonly #board: PhaseBoard
  readonly slots: Slots
  readonly #blame: Blame
  readonly #claims: Claims
  readonly #watchdog: Watchdog
  readonly #pools: Pools
  #closed: Promise<void> | undefined

  constructor(options: ThreadRunnerOptions) {
    const { setup, threads, concurrency } = options
    this.#options = options
    this.#fewThreads = fewThreads(setup.transports, threads)
    this.#credit = new Credit(threads * concurrency)
    this.#board = new PhaseBoard(setup.board, setup.recipientsPerSlot)
    this.slots = new Slots(Credit.most(threads * concurrency), threads, () => this.#credit.slots)
    this.#blame = new Blame(this.#board)
    this.#claims = new Claims(this.#board)
    this.#watchdog = new Watchdog(this.#board, {
      render: options.renderLimit,
      task: options.attemptLimit + options.renderLimit + OVERDUE,
      end: (thread) => this.#pools.end(thread),
    })
    this.#pools = new Pools({
      ...options,
      died: (thread, reason) => options.died(thread, this.#watchdog.reasonFor(thread) ?? reason),
    })
  }

  async start(): Promise<Catalogue> {
    let timer: NodeJS.Timeout | undefined
    const tooLong = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new Error(`no thread answered within ${START_LIMIT / 1000} s`))
      }, START_LIMIT)
    })
    try {
      return await Promise.race([this.#pools.shared.ask('probe', undefined), tooLong])
    } catch (error) {
      await this.close()
      throw new ThreadpostError('START_FAILED', `The mailer can't start: ${reasonOf(error)}`, {
        cause: error,
      })
    } finally {
      clearTimeout(timer)
    }
  }

  catalogue(): Promise<Catalogue> {
    return this.#pools.shared.ask('probe', undefined)
  }

  deliver(order: DeliveryOrder, alone: boolean): Promise<RunResult> {
    return alone
      ? this.#pools.alone((pool) => this.#deliverIn(pool, order))
      : this.#deliverIn(this.#pools.shared, order)
  }

  withdraw(order: DeliveryOrder): boolean {
    return this.#claims.withdraw(order)
  }

  render(content: Content, context?: JsonObject): Promise<RenderResult> {
    return this.#rendering('render', context === undefined ? { content } : { content, context })
  }

  compose(letter: Letter): Promise<RenderResult<ComposedParts>> {
    return this.#rendering('compose', { letter })
  }

  inspect(content: Content): Promise<RenderResult<TemplateNotes>> {
    return this.#rendering('inspect', { content })
  }

  async #rendering<R extends Rendering>(
    request: R,
    what: Omit<TaskOf<R>, 'slot' | 'generation'>,
  ): Promise<AnswerOf<R>> {
    for (;;) {
      const result = await this.#renderOnce(request, what)
      if (result !== 'innocent') return result
    }
  }

  async #renderOnce<R extends Rendering>(
    request: R,
    what: Omit<TaskOf<R>, 'slot' | 'generation'>,
  ): Promise<AnswerOf<R> | 'innocent'> {
    const slot = await this.slots.takeForRender()
    const generation = this.#occupy(slot)
    try {
      return await this.#pools.shared.ask(request, { ...what, slot, generation } as TaskOf<R>)
    } catch (error) {
      if (!(error instanceof ThreadDied)) throw error
      if (this.#closed !== undefined)
        throw new ThreadpostError('CLOSED', 'The mailer was closed', { cause: error })
      if (this.#blame.of(slot) === 'innocent') return 'innocent'
      throw new ThreadpostError(
        'TEMPLATE_ERROR',
        'The thread ended while rendering: the template or a helper runs without end, uses too much memory or ends the process.',
        { cause: error },
      )
    } finally {
      this.#vacate(slot)
      this.slots.giveForRender(slot)
    }
  }

  verify(transport: string): Promise<TransportReport> {
    return this.#pools.shared.ask('verify', { transport })
  }

  async reloadTransports(transports: readonly TransportConfig[]): Promise<void> {
    // Threads to come are given the same setup.
    this.#options.setup.transports = [...transports]
    this.#fewThreads = fewThreads(transports, this.#options.threads)
    await this.#pools.askAll('reloadTransports', { transports })
  }

  async reloadTemplates(templates: TemplateSetup): Promise<void> {
    const { setup } = this.#options
    const before = setup.templates
    setup.templates = templates
    try {
      await this.#pools.askAll('reloadTemplates', { templates })
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
      phases: census(this.#board, slots, thread),
    }))
  }

  endThread(): number | undefined {
    const [busiest] = this.#pools.threads().sort((a, b) => b.load - a.load)
    if (busiest !== undefined) this.#pools.end(busiest.thread)
    return busiest?.thread
  }

  phases(): PhaseCounts {
    return census(this.#board, this.slots.used())
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#watchdog.stop()
    await this.#pools.close()
  }

  async #deliverIn(pool: Pool, order: DeliveryOrder): Promise<RunResult> {
    const withdrawn = this.#claims.outcomeIfWithdrawn(order)
    if (withdrawn !== undefined) return { died: false, outcome: withdrawn }
    if (this.#closed !== undefined) return { died: true, blame: 'closed', evidence: NOTHING_DONE }
    const { slot } = order
    const generation = this.#occupy(slot)
    this.#claims.enter(order, slot, generation)
    try {
      const task = taskOf(order, generation)
      const outcome = await pool.ask('deliver', task, this.#threadsFor(order.transport))
      return { died: false, outcome }
    } catch (error) {
      if (!(error instanceof ThreadDied)) throw error
      return {
        died: true,
        blame: this.#blameOf(slot, pool),
        evidence: this.#board.read(slot, order.recipients.length),
      }
    } finally {
      this.#claims.leave(order)
      this.#vacate(slot)
      this.#credit.count(performance.now())
    }
  }

  /** @returns the generation of the slot */
  #occupy(slot: number): number {
    this.#watchdog.watch(slot)
    this.#blame.enter(slot)
    return this.#board.assign(slot)
  }

  #vacate(slot: number): void {
    this.#blame.leave(slot)
    this.#watchdog.release(slot)
  }

  /** A transport with fewer connections than there are threads is served by as many of them. */
  #threadsFor(transport: string): number | undefined {
    return this.#fewThreads.size === 0 ? undefined : this.#fewThreads.get(transport)
  }

  #blameOf(slot: number, pool: Pool): 'guilty' | 'suspect' | 'innocent' | 'closed' {
    if (this.#closed !== undefined) return 'closed'
    const blame = this.#blame.of(slot)
    return blame === 'suspect' && pool !== this.#pools.shared ? 'guilty' : blame
  }
}

function taskOf(order: DeliveryOrder, generation: number): DeliverTask {
  const { slot, letter, recipients, transport, attempt, expiresAt, note, notBefore } = order
  const handedOverAt = sharedClock()
  const task: DeliverTask = {
    letter,
    recipients,
    transport,
    attempt,
    expiresAt,
    slot,
    generation,
    handedOverAt,
  }
  if (note !== undefined) task.note = note
  if (notBefore !== undefined) task.notBefore = notBefore
  return task
}

/** Why a thread died says more than that it did. */
function reasonOf(error: unknown): string {
  const reason = error instanceof ThreadDied && error.cause instanceof Error ? error.cause : error
  return reason instanceof Error ? reason.message : String(reason)
}

/** The transports with fewer connections than there are threads, and how many those are. */
function fewThreads(transports: readonly TransportConfig[], threads: number): Map<string, number> {
  return new Map(
    transports.flatMap(({ name, connections }) =>
      connections !== undefined && connections < threads ? [[name, connections] as const] : [],
    ),
  )
}
