import { fileURLToPath } from 'node:url'
import type { Worker } from 'node:worker_threads'
import { Piscina } from 'piscina'
import { Blame } from './blame.js'
import { Claims } from './claims.js'
import { ThreadpostError } from './errors.js'
import { Farewell } from './farewell.js'
import type { Outcome } from './outcome.js'
import { PhaseBoard } from './phases.js'
import type { DeliveryOrder, Runner, RunResult, ThreadStatus } from './runner.js'
import { Slots } from './slots.js'
import { Watchdog } from './watchdog.js'
import type { Catalogue, Content, RenderResult, ThreadSetup } from './wire.js'

export interface PoolOptions {
  setup: ThreadSetup
  threads: number
  /** Deliveries at a time in each thread. */
  concurrency: number
  /** Milliseconds. */
  renderLimit: number
  attemptLimit: number
  /** Bytes of heap for each thread. */
  memory: number
  started(thread: number): void
  died(thread: number, reason: string): void
}

const THREAD_FILE = fileURLToPath(new URL('../workers/thread.js', import.meta.url))
const START_LIMIT = 30_000
/** A thread whose attempt is overdue by this much no longer keeps its own time. */
const OVERDUE = 5_000

/**
 * The worker threads. Piscina spreads the tasks and replaces threads that die; what their death means for each
 * delivery is read off the phase board. Its queue stays empty: there are never more tasks than slots.
 */
export class Pool implements Runner {
  readonly slots: number
  readonly #options: PoolOptions
  readonly #board: PhaseBoard
  readonly #free: Slots
  readonly #blame: Blame
  readonly #claims: Claims
  readonly #watchdog: Watchdog
  readonly #farewell: Farewell
  readonly #known = new WeakSet<Worker>()
  #piscina: Piscina
  /** The last delivery that asked to be alone; each waits for the one before it. */
  #aloneTail: Promise<unknown> = Promise.resolve()
  #aloneWaiting = 0
  #lonely: Piscina | undefined
  #closing = false

  constructor(options: PoolOptions) {
    const { setup, threads, concurrency } = options
    this.#options = options
    this.slots = threads * concurrency
    this.#board = new PhaseBoard(setup.board, setup.recipientsPerSlot)
    this.#free = new Slots(this.slots, threads)
    this.#blame = new Blame(this.#board)
    this.#claims = new Claims(this.#board)
    this.#watchdog = new Watchdog(this.#board, {
      render: options.renderLimit,
      task: options.attemptLimit + options.renderLimit + OVERDUE,
      end: (thread) => this.#end(thread),
    })
    this.#farewell = new Farewell(setup.channel)
    this.#piscina = this.#create(threads, concurrency + 1)
  }

  async start(): Promise<Catalogue> {
    let timer: NodeJS.Timeout | undefined
    const tooLong = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`no thread answered within ${START_LIMIT / 1000} s`)),
        START_LIMIT,
      )
    })
    try {
      const probe = this.#piscina.run(undefined, { name: 'probe' }) as Promise<Catalogue>
      return await Promise.race([probe, tooLong])
    } catch (error) {
      await this.close()
      throw new ThreadpostError('START_FAILED', `The mailer can't start: ${(error as Error).message}`, {
        cause: error,
      })
    } finally {
      clearTimeout(timer)
    }
  }

  deliver(order: DeliveryOrder, alone: boolean): Promise<RunResult> {
    return alone ? this.#deliverAlone(order) : this.#deliverIn(() => this.#piscina, order, false)
  }

  withdraw(order: DeliveryOrder): boolean {
    return this.#claims.withdraw(order)
  }

  async render(content: Content): Promise<RenderResult> {
    const slot = await this.#free.takeForRender()
    const generation = this.#board.assign(slot)
    this.#watchdog.watch(slot)
    this.#blame.enter(slot)
    try {
      return (await this.#piscina.run({ content, slot, generation }, { name: 'render' })) as RenderResult
    } catch (error) {
      if (this.#blame.of(slot) === 'innocent' && !this.#closing) return await this.render(content)
      throw new ThreadpostError(
        'TEMPLATE_ERROR',
        'The thread ended while rendering: the template or a helper runs without end, uses too much memory or ends the process.',
        { cause: error },
      )
    } finally {
      this.#blame.leave(slot)
      this.#watchdog.release(slot)
      this.#free.giveForRender(slot)
    }
  }

  threads(): ThreadStatus[] {
    return this.#workers().map(({ threadId }) => ({
      thread: threadId,
      delivering: this.#blame.countOf(threadId),
    }))
  }

  async close(): Promise<void> {
    if (this.#closing) return
    this.#closing = true
    this.#watchdog.stop()
    await this.#farewell.say(this.#workers().length)
    await Promise.all([this.#piscina.destroy(), this.#lonely?.destroy()])
  }

  async #deliverIn(piscina: () => Piscina, order: DeliveryOrder, alone: boolean): Promise<RunResult> {
    const withdrawn = this.#claims.outcomeIfWithdrawn(order)
    if (withdrawn !== undefined) return { died: false, outcome: withdrawn }
    const slot = this.#free.take()
    const generation = this.#board.assign(slot)
    this.#claims.enter(order, slot, generation)
    this.#watchdog.watch(slot)
    this.#blame.enter(slot)
    try {
      const handedOverAt = performance.timeOrigin + performance.now()
      const task = { ...order, slot, generation, handedOverAt }
      return { died: false, outcome: (await piscina().run(task, { name: 'deliver' })) as Outcome }
    } catch (error) {
      if (isCloneError(error)) throw error
      const blame = this.#blame.of(slot)
      const evidence = this.#board.read(slot, order.recipients.length)
      return { died: true, blame: alone && blame !== 'innocent' ? 'guilty' : blame, evidence }
    } finally {
      this.#claims.leave(order)
      this.#blame.leave(slot)
      this.#watchdog.release(slot)
      this.#free.give(slot)
    }
  }

  /** One at a time, in a thread of its own that ends when nobody waits for it. */
  #deliverAlone(order: DeliveryOrder): Promise<RunResult> {
    this.#aloneWaiting++
    const run = this.#aloneTail.then(async () => {
      const piscina = (this.#lonely ??= this.#create(1, 1))
      try {
        return await this.#deliverIn(() => piscina, order, true)
      } finally {
        if (--this.#aloneWaiting === 0) {
          this.#lonely = undefined
          await piscina.destroy()
        }
      }
    })
    this.#aloneTail = run.catch(() => undefined)
    return run
  }

  #create(threads: number, concurrency: number): Piscina {
    const piscina = new Piscina({
      filename: THREAD_FILE,
      name: 'deliver',
      minThreads: threads,
      maxThreads: threads,
      concurrentTasksPerWorker: concurrency,
      maxQueue: this.slots + threads,
      // With 'sync' a thread sleeps between tasks, and its sockets and timers with it.
      atomics: 'disabled',
      idleTimeout: Infinity,
      workerData: this.#options.setup,
      resourceLimits: { maxOldGenerationSizeMb: Math.ceil(this.#options.memory / 2 ** 20) },
      recordTiming: false,
    })
    // A thread that dies without a task emits here; its exit is dealt with in #meet.
    piscina.on('error', () => undefined)
    piscina.on('workerCreate', () => this.#meet(piscina))
    this.#meet(piscina)
    return piscina
  }

  #meet(piscina: Piscina): void {
    for (const worker of piscina.threads) {
      if (this.#known.has(worker)) continue
      this.#known.add(worker)
      const thread = worker.threadId
      let reason: string | undefined
      worker.once('error', (error: Error) => {
        reason = error.message
      })
      worker.once('exit', (code) => {
        const wanted = this.#closing || (piscina !== this.#piscina && piscina !== this.#lonely)
        if (wanted) return
        this.#options.died(
          thread,
          this.#watchdog.reasonFor(thread) ?? reason ?? `it exited with code ${code}`,
        )
        if (piscina === this.#piscina) setImmediate(() => this.#replenish(piscina))
      })
      this.#options.started(thread)
    }
  }

  /** Piscina gives up replacing threads once one has died while starting; a new pool doesn't. */
  #replenish(piscina: Piscina): void {
    if (this.#closing || piscina !== this.#piscina || piscina.threads.length >= this.#options.threads) return
    this.#piscina = this.#create(this.#options.threads, this.#options.concurrency + 1)
    void piscina.destroy()
  }

  #end(thread: number): void {
    const worker = this.#workers().find(({ threadId }) => threadId === thread)
    void worker?.terminate()
  }

  #workers(): Worker[] {
    return [...this.#piscina.threads, ...(this.#lonely?.threads ?? [])]
  }
}

function isCloneError(error: unknown): boolean {
  return error instanceof Error && error.name === 'DataCloneError'
}
