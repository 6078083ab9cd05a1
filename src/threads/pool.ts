import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'
import { Piscina } from 'piscina'
import type {
  ReplyOf,
  ChannelOpening,
  Request,
  TaskOf,
  ThreadLogLine,
  ThreadSetup,
} from '../protocol/tasks.js'
import { threadFile } from '../protocol/threadFile.js'
import { LoadMeter } from './runner.js'
import type { WatchedThread } from './watchdog.js'
import { WorkerChannel, ThreadDied } from './workerChannel.js'

export interface PoolOptions {
  setup: ThreadSetup
  threads: number
  /** Bytes of heap for each thread. */
  memory: number
  started(thread: number): void
  /** A thread ended that nobody had asked to end. */
  died(thread: number, reason: string): void
  /** A module of the application wrote to the log there. */
  logged(thread: number, line: ThreadLogLine): void
}

/** Whom a pool tells of its lanes, and asks when to open them. Each lane has a place on the pulse board. */
export interface PoolSupervisor {
  /** A thread is about to start there. */
  opening(place: number): void
  ready(place: number): void
  /** What the thread was asked is not rejected yet. */
  broken(place: number, death: ThreadDied, isolated: boolean): void
  /** The pool ends: nobody needs its threads. */
  ended(place: number): void
  /** Milliseconds until a thread may be started. */
  delay(): number
}

/** A thread that lived shorter than this is started again only after a pause that doubles each time, in ms. */
const SHORT_LIFE = 1_000
const FIRST_PAUSE = 20
const LONGEST_PAUSE = 5_000

/**
 * The threads, kept by Piscina: it starts them, and others in place of those that die. Each runs one task as long as
 * it lives, serving its lane, so that a thread's death is the end of that task and a delivery costs no task.
 */
export class Pool {
  readonly #file = threadFile('entry.cjs')
  readonly #options: PoolOptions
  readonly #warden: PoolSupervisor
  readonly #isolated: boolean
  readonly #firstPlace: number
  readonly #lanes: WorkerChannel[]
  /** Every thread there was, and how busy it is. */
  readonly #known = new WeakMap<Worker, LoadMeter>()
  /** Threads whose exit has not been seen yet. */
  readonly #alive = new Set<Worker>()
  readonly #abort = new AbortController()
  #piscina: Piscina

  /**
   * @param firstPlace of its first lane on the pulse board
   * @param isolated whether each delivery is alone in its thread, and watched closely
   */
  constructor(options: PoolOptions, warden: PoolSupervisor, firstPlace: number, isolated: boolean) {
    this.#options = options
    this.#warden = warden
    this.#firstPlace = firstPlace
    this.#isolated = isolated
    this.#piscina = this.#create()
    this.#lanes = Array.from({ length: options.threads }, (_, index) => {
      const place = firstPlace + index
      return new WorkerChannel({
        logged: options.logged.bind(options),
        ready: () => warden.ready(place),
        died: (death) => {
          if (!this.#abort.signal.aborted) warden.broken(place, death, isolated)
        },
      })
    })
    for (const [index, lane] of this.#lanes.entries()) void this.#keepOpen(lane, firstPlace + index)
  }

  get places(): number[] {
    return this.#lanes.map((_, index) => this.#firstPlace + index)
  }

  /** Asks the thread with the least to do, of all or of the first few. Rejects when it dies. */
  ask<R extends Request>(request: R, task: TaskOf<R>, among = this.#lanes.length): Promise<ReplyOf<R>> {
    let best = this.#lanes[0]
    for (let index = 1; index < Math.min(among, this.#lanes.length); index++) {
      const lane = this.#lanes[index]!
      if (best === undefined || costOf(lane) < costOf(best)) best = lane
    }
    if (best === undefined) throw new Error('a pool without threads')
    return best.ask(request, task)
  }

  /**
   * Asks every thread, those that are just starting as well, and rejects, once all have answered, if one of them
   * refused. One that dies is asked again in the thread that takes its place, which may have been started with the setup
   * of before; whatever comes after that has the setup of now.
   */
  async askAll<R extends Request>(request: R, task: TaskOf<R>): Promise<void> {
    const answers = await Promise.allSettled(
      this.#lanes.map((lane) =>
        lane.ask(request, task).catch((error: unknown) => {
          if (!(error instanceof ThreadDied)) throw error
          return lane.ask(request, task)
        }),
      ),
    )
    for (const answer of answers)
      if (answer.status === 'rejected' && !(answer.reason instanceof ThreadDied)) throw answer.reason
  }

  /** Lets the threads close what they have open. */
  async quit(): Promise<void> {
    await Promise.allSettled(this.#open().map((lane) => lane.ask('quit', undefined)))
  }

  #open(): WorkerChannel[] {
    return this.#lanes.filter(({ ready }) => ready)
  }

  /** The threads that have begun to start, or run. */
  watched(): WatchedThread[] {
    return this.#lanes.flatMap(({ thread, ready }, index) =>
      thread === 0 ? [] : [{ thread, ready, place: this.#firstPlace + index }],
    )
  }

  /** The threads that answer at present, how much each has to do, and how busy it is: see {@link LoadMeter}. */
  threads(): { thread: number; load: number; connections: number; busy: number }[] {
    const busy = new Map(
      this.#piscina.threads.map((worker) => [worker.threadId, this.#known.get(worker)?.share() ?? 0]),
    )
    return this.#open().map(({ thread, load, connections }) => ({
      thread,
      load,
      connections,
      busy: busy.get(thread) ?? 0,
    }))
  }

  /** Ends a thread, whatever it does; a new one takes its place. */
  terminate(thread: number): void {
    void this.#piscina.threads.find(({ threadId }) => threadId === thread)?.terminate()
  }

  async destroy(): Promise<void> {
    this.#abort.abort()
    for (const place of this.places) this.#warden.ended(place)
    // Piscina replaces a thread whose exit it learns of after it was destroyed: go on until all have been heard of.
    do {
      await this.#piscina.destroy()
      await Promise.all([...this.#alive].map((worker) => once(worker, 'exit')))
    } while (this.#piscina.threads.length > 0)
  }

  async #keepOpen(lane: WorkerChannel, place: number): Promise<void> {
    const { signal } = this.#abort
    let wait = 0
    while (!signal.aborted) {
      const held = this.#warden.delay()
      if (held > 0) {
        await pause(held, undefined, { signal }).catch(() => undefined)
        continue
      }
      this.#replenish()
      const start = performance.now()
      this.#warden.opening(place)
      const port = lane.open()
      const opening: ChannelOpening = { port, place, isolated: this.#isolated }
      const death: unknown = await this.#piscina
        .run(opening, { name: 'serve', transferList: [port] })
        .catch((error: unknown) => error)
      lane.break(death)
      const short = performance.now() - start < SHORT_LIFE
      wait = short ? Math.min(Math.max(wait, FIRST_PAUSE) * 2, LONGEST_PAUSE) : FIRST_PAUSE
      await pause(wait, undefined, { signal }).catch(() => undefined)
    }
    lane.close()
  }

  #create(): Piscina {
    const { threads, memory, setup } = this.#options
    const piscina = new Piscina({
      filename: this.#file,
      name: 'serve',
      minThreads: threads,
      maxThreads: threads,
      concurrentTasksPerWorker: 1,
      maxQueue: threads,
      // With 'sync' a thread sleeps between tasks, and its sockets and timers with it.
      atomics: 'disabled',
      idleTimeout: Infinity,
      workerData: setup,
      resourceLimits: { maxOldGenerationSizeMb: Math.ceil(memory / 2 ** 20) },
      recordTiming: false,
    })
    // A thread that dies without a task emits here; its exit is dealt with in #meet.
    piscina.on('error', () => undefined)
    piscina.on('workerCreate', () => {
      this.#meet(piscina)
    })
    this.#meet(piscina)
    return piscina
  }

  #meet(piscina: Piscina): void {
    for (const worker of piscina.threads) {
      if (this.#known.has(worker)) continue
      const { performance } = worker
      this.#known.set(worker, new LoadMeter((...readings) => performance.eventLoopUtilization(...readings)))
      this.#alive.add(worker)
      const thread = worker.threadId
      let reason: string | undefined
      worker.once('error', (error: Error) => {
        reason = error.message
      })
      worker.once('exit', (code) => {
        this.#alive.delete(worker)
        if (this.#abort.signal.aborted || piscina !== this.#piscina) return
        this.#options.died(thread, reason ?? `it exited with code ${code}`)
      })
      this.#options.started(thread)
    }
  }

  /** Piscina gives up replacing threads once one has died while starting; a new one doesn't. */
  #replenish(): void {
    if (this.#abort.signal.aborted || this.#piscina.threads.length >= this.#options.threads) return
    const old = this.#piscina
    this.#piscina = this.#create()
    void old.destroy()
  }
}

/** A lane whose thread has yet to start comes last. */
function costOf({ ready, load }: WorkerChannel): number {
  return ready ? load : load + 1e6
}
