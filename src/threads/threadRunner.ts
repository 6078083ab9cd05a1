import { Blame } from './blame.js'
import { census } from './census.js'
import { Claims } from './claims.js'
import { Credit } from './credit.js'
import { ThreadpostError } from '../errors.js'
import { CrashLoop, type CrashLoopListener, type Outage } from './crashLoop.js'
import { ThreadDied } from './lane.js'
import type { AnswerOf, TaskOf } from '../wire/requests.js'
import type { Outcome } from '../wire/outcome.js'
import { type Evidence, PhaseBoard } from '../wire/phases.js'
import { PulseBoard } from '../wire/pulse.js'
import type { Pool, PoolOptions, PoolWarden } from './pool.js'
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

export interface ThreadRunnerOptions extends PoolOptions, CrashLoopListener {
  /** Deliveries at a time in each thread. */
  concurrency: number
  /** Milliseconds. */
  renderLimit: number
  attemptLimit: number
}

/** A render's part of an isolated thread is tried so often before the caller is told. */
const RENDER_TRIES = 3

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
  readonly #free: Slots
  readonly #blame: Blame
  readonly #claims: Claims
  readonly #watchdog: Watchdog
  readonly #crashLoop: CrashLoop
  readonly #isolatedPlace: number
  readonly #pools: Pools
  #closed: Promise<void> | undefined

  constructor(options: ThreadRunnerOptions) {
    const { setup, threads, concurrency } = options
    this.#options = options
    this.#fewThreads = fewThreads(setup.transports, threads)
    this.#credit = new Credit(threads * concurrency)
    this.#board = new PhaseBoard(setup.board, setup.recipientsPerSlot)
    this.#free = new Slots(Credit.most(threads * concurrency), threads)
    const pulses = new PulseBoard(setup.pulses)
    this.#blame = new Blame(this.#board, pulses)
    this.#claims = new Claims(this.#board)
    this.#watchdog = new Watchdog(this.#board, pulses, {
      render: options.renderLimit,
      task: options.attemptLimit + options.renderLimit + OVERDUE,
      start: START_LIMIT,
      threads: () => this.#pools.watched(),
      end: (thread) => this.#pools.end(thread),
    })
    this.#isolatedPlace = threads
    this.#crashLoop = new CrashLoop(Pools.places(threads), options)
    const warden: PoolWarden = {
      opening: (place) => pulses.begin(place),
      ready: (place) => this.#crashLoop.ready(place),
      broken: (place, death, isolated) => this.#broken(place, death, isolated),
      ended: (place) => this.#crashLoop.ended(place),
      delay: () => this.#crashLoop.delay(),
    }
    this.#pools = new Pools(
      {
        ...options,
        died: (thread, reason) => options.died(thread, this.#watchdog.endingOf(thread)?.reason ?? reason),
      },
      warden,
    )
  }

  get slots(): number {
    return this.#credit.slots
  }

  get outage(): Outage | undefined {
    return this.#crashLoop.outage
  }

  get releaseIn(): number {
    return this.#crashLoop.releaseIn
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
    return this.#watchdog.during(this.#pools.shared.ask('probe', undefined))
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
    let result = await this.#renderOnce(this.#pools.shared, request, what)
    while (result === 'bystander') result = await this.#renderOnce(this.#pools.shared, request, what)
    for (let tries = 0; result === 'suspect' || result === 'bystander'; tries++) {
      if (tries >= RENDER_TRIES) throw noThread('each thread ended, for a reason that is not in the template')
      result = await this.#pools.alone((pool) => this.#renderOnce(pool, request, what))
    }
    return result
  }

  async #renderOnce<R extends Rendering>(
    pool: Pool,
    request: R,
    what: Omit<TaskOf<R>, 'slot' | 'generation'>,
  ): Promise<AnswerOf<R> | 'suspect' | 'bystander'> {
    const outage = this.#outageIn(pool)
    if (outage !== undefined) throw noThread(outage.reason)
    const slot = await this.#free.takeForRender()
    const generation = this.#occupy(slot, request)
    try {
      return await pool.ask(request, { ...what, slot, generation } as TaskOf<R>)
    } catch (error) {
      if (!(error instanceof ThreadDied)) throw error
      if (this.#closed !== undefined)
        throw new ThreadpostError('CLOSED', 'The mailer was closed', { cause: error })
      const verdict = this.#blame.of(slot, error)
      if (verdict !== 'culprit') return verdict
      throw new ThreadpostError(
        'TEMPLATE_ERROR',
        'The thread ended while rendering: the template or a helper runs without end, uses too much memory or ends the process.',
        { cause: error },
      )
    } finally {
      this.#vacate(slot)
      this.#free.giveForRender(slot)
    }
  }

  verify(transport: string): Promise<TransportReport> {
    return this.#watchdog.during(this.#pools.shared.ask('verify', { transport }))
  }

  async reloadTransports(transports: readonly TransportConfig[]): Promise<void> {
    // Threads to come are given the same setup.
    this.#options.setup.transports = [...transports]
    this.#fewThreads = fewThreads(transports, this.#options.threads)
    await this.#watchdog.during(this.#pools.askAll('reloadTransports', { transports }))
  }

  async reloadTemplates(templates: TemplateSetup): Promise<void> {
    const { setup } = this.#options
    const before = setup.templates
    setup.templates = templates
    try {
      await this.#watchdog.during(this.#pools.askAll('reloadTemplates', { templates }))
    } catch (error) {
      if (before === undefined) throw error
      setup.templates = before
      await this.#pools.askAll('reloadTemplates', { templates: before }).catch(() => undefined)
      throw error
    }
  }

  threads(): ThreadStatus[] {
    const slots = this.#free.used()
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
    if (busiest !== undefined) this.#watchdog.end(busiest.thread)
    return busiest?.thread
  }

  phases(): PhaseCounts {
    return census(this.#board, this.#free.used())
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#watchdog.stop()
    this.#crashLoop.close()
    await this.#pools.close()
  }

  async #deliverIn(pool: Pool, order: DeliveryOrder): Promise<RunResult> {
    const withdrawn = this.#claims.outcomeIfWithdrawn(order)
    if (withdrawn !== undefined) return { died: false, outcome: withdrawn }
    if (this.#closed !== undefined) return { died: true, blame: 'closed', evidence: NOTHING_DONE }
    const outage = this.#outageIn(pool)
    if (outage !== undefined) return { died: false, outcome: setupFailed(outage) }
    const slot = this.#free.take()
    const generation = this.#occupy(slot, order.letter.id)
    this.#claims.enter(order, slot, generation)
    try {
      const task = taskOf(order, slot, generation)
      const outcome = await pool.ask('deliver', task, this.#threadsFor(order.transport))
      return { died: false, outcome }
    } catch (error) {
      if (!(error instanceof ThreadDied)) throw error
      return {
        died: true,
        blame: this.#closed === undefined ? this.#blame.of(slot, error) : 'closed',
        evidence: this.#board.read(slot, order.recipients.length),
      }
    } finally {
      this.#claims.leave(order)
      this.#vacate(slot)
      this.#free.give(slot)
      this.#credit.count(performance.now())
    }
  }

  /** @returns the generation of the slot */
  #occupy(slot: number, id: string): number {
    this.#watchdog.watch(slot)
    this.#blame.enter(slot, id)
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

  #broken(place: number, death: ThreadDied, isolated: boolean): void {
    const ending = this.#watchdog.endingOf(death.thread)
    const hasCulprit = this.#blame.judge(death, { place, isolated, ending })
    const counts = !hasCulprit && ending?.cause !== 'asked'
    this.#crashLoop.died(place, counts, ending?.reason ?? death.reason)
  }

  /** Why a pool takes no mail, if it doesn't. */
  #outageIn(pool: Pool): Outage | undefined {
    const place = pool === this.#pools.shared ? 0 : this.#isolatedPlace
    return this.#crashLoop.holds(place) ? this.#crashLoop.outage : undefined
  }
}

function setupFailed({ reason }: Outage): Outcome {
  return {
    result: 'deferred',
    code: 'SETUP_FAILED',
    message: `No thread lives long enough to take mail: ${reason}`,
    phase: 'waiting',
    recipients: [],
    timings: {},
    thread: 0,
  }
}

function noThread(reason: string): ThreadpostError {
  return new ThreadpostError('TEMPLATE_ERROR', `Nothing can be rendered at present: ${reason}`)
}

function taskOf(order: DeliveryOrder, slot: number, generation: number): DeliverTask {
  const { letter, recipients, transport, attempt, expiresAt, note, notBefore } = order
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
  if (error instanceof ThreadDied) return error.reason
  return error instanceof Error ? error.message : String(error)
}

/** The transports with fewer connections than there are threads, and how many those are. */
function fewThreads(transports: readonly TransportConfig[], threads: number): Map<string, number> {
  return new Map(
    transports.flatMap(({ name, connections }) =>
      connections !== undefined && connections < threads ? [[name, connections] as const] : [],
    ),
  )
}
