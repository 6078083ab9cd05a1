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
import { sharedAbort } from '../structures/sharedAbort.js'
import { LoadMeter } from './runner.js'
import type { WatchedThread } from './watchdog.js'
import { WorkerChannel, ThreadDied } from './workerChannel.js'

export interface PoolOptions {
  setup: ThreadSetup
  threads: number
  /** The maximum heap size of each thread, in bytes. */
  memory: number
  started(thread: number): void
  /** A thread ended, and the pool had not ended it. */
  died(thread: number, reason: string): void
  /** A module of the application wrote to the log in a thread. */
  logged(thread: number, line: ThreadLogLine): void
}

/** Follows the life of each thread, and decides when one may start. Each thread has a place on the pulse board. */
export interface PoolSupervisor {
  /** A thread is about to start. */
  opening(place: number): void
  /** The thread takes requests. */
  ready(place: number): void
  /** The thread died; its requests are not rejected yet. */
  broken(place: number, death: ThreadDied, isolated: boolean): void
  /** The pool ends its threads. */
  ended(place: number): void
  /** Milliseconds until a thread may be started. */
  delay(): number
}

/** A thread that lived for less than this, in ms, is replaced after a pause that doubles each time. */
const SHORT_LIFE = 1_000
const FIRST_PAUSE = 20
const LONGEST_PAUSE = 5_000

/**
 * A pool of threads. Piscina starts them, and replaces those that die. Each thread runs a single task for its whole life:
 * it serves its channel. So the end of that task is the death of the thread, and a delivery needs no task of its own.
 */
export class Pool {
  readonly #file = threadFile('entry.cjs')
  readonly #options: PoolOptions
  readonly #supervisor: PoolSupervisor
  readonly #isolated: boolean
  readonly #firstPlace: number
  readonly #channels: WorkerChannel[]
  /** The load of every thread that was ever started. */
  readonly #meters = new WeakMap<Worker, LoadMeter>()
  /** Threads that have not emitted `exit` yet. */
  readonly #alive = new Set<Worker>()
  readonly #abort = sharedAbort()
  #piscina: Piscina

  /**
   * @param firstPlace the place of its first thread on the pulse board
   * @param isolated whether each delivery is alone in its thread, which tracks whose code runs
   */
  constructor(options: PoolOptions, supervisor: PoolSupervisor, firstPlace: number, isolated: boolean) {
    this.#options = options
    this.#supervisor = supervisor
    this.#firstPlace = firstPlace
    this.#isolated = isolated
    this.#piscina = this.#create()
    this.#channels = Array.from({ length: options.threads }, (_, index) => {
      const place = firstPlace + index
      return new WorkerChannel({
        logged: options.logged.bind(options),
        ready: () => supervisor.ready(place),
        died: (death) => {
          if (!this.#abort.signal.aborted) supervisor.broken(place, death, isolated)
        },
      })
    })
    for (const [index, channel] of this.#channels.entries()) void this.#keepOpen(channel, firstPlace + index)
  }

  get places(): number[] {
    return this.#channels.map((_, index) => this.#firstPlace + index)
  }

  /** Asks the thread with the fewest requests, of all or of the first `among`. Rejects with {@link ThreadDied} if it dies. */
  ask<R extends Request>(request: R, task: TaskOf<R>, among = this.#channels.length): Promise<ReplyOf<R>> {
    let best = this.#channels[0]
    for (let index = 1; index < Math.min(among, this.#channels.length); index++) {
      const channel = this.#channels[index]!
      if (best === undefined || costOf(channel) < costOf(best)) best = channel
    }
    if (best === undefined) throw new Error('a pool without threads')
    return best.ask(request, task)
  }

  /**
   * Asks every thread, including those that are starting. Rejects, once all have replied, if one of them refused. When a
   * thread dies, the thread that replaces it is asked, since it may have been started with the previous setup; threads
   * that start later have the current one.
   */
  async askAll<R extends Request>(request: R, task: TaskOf<R>): Promise<void> {
    const answers = await Promise.allSettled(
      this.#channels.map((channel) =>
        channel.ask(request, task).catch((error: unknown) => {
          if (!(error instanceof ThreadDied)) throw error
          return channel.ask(request, task)
        }),
      ),
    )
    for (const answer of answers)
      if (answer.status === 'rejected' && !(answer.reason instanceof ThreadDied)) throw answer.reason
  }

  /** Asks the threads to close their connections. Resolves when they have. */
  async quit(): Promise<void> {
    await Promise.allSettled(this.#ready().map((channel) => channel.ask('quit', undefined)))
  }

  #ready(): WorkerChannel[] {
    return this.#channels.filter(({ ready }) => ready)
  }

  /** Lists the threads that are starting or running. */
  watched(): WatchedThread[] {
    return this.#channels.flatMap(({ thread, ready }, index) =>
      thread === 0 ? [] : [{ thread, ready, place: this.#firstPlace + index }],
    )
  }

  /** Lists the threads that take requests, with the number of requests of each and its load: see {@link LoadMeter}. */
  threads(): { thread: number; load: number; connections: number; busy: number }[] {
    const busy = new Map(
      this.#piscina.threads.map((worker) => [worker.threadId, this.#meters.get(worker)?.share() ?? 0]),
    )
    return this.#ready().map(({ thread, load, connections }) => ({
      thread,
      load,
      connections: connections.open,
      busy: busy.get(thread) ?? 0,
    }))
  }

  /** Messages that the threads' connections may have in flight beyond one each. */
  get pipelined(): number {
    let sum = 0
    for (const channel of this.#channels) sum += channel.connections.pipelined
    return sum
  }

  /** Terminates a thread, whatever it does; Piscina replaces it. */
  terminate(thread: number): void {
    void this.#piscina.threads.find(({ threadId }) => threadId === thread)?.terminate()
  }

  async destroy(): Promise<void> {
    this.#abort.abort()
    for (const place of this.places) this.#supervisor.ended(place)
    // Piscina replaces a thread whose exit it sees after it was destroyed: repeat until every exit was seen.
    do {
      await this.#piscina.destroy()
      await Promise.all([...this.#alive].map((worker) => once(worker, 'exit')))
    } while (this.#piscina.threads.length > 0)
  }

  /** Opens the channel for one thread after another, until the pool is destroyed. */
  async #keepOpen(channel: WorkerChannel, place: number): Promise<void> {
    const { signal } = this.#abort
    let wait = 0
    while (!signal.aborted) {
      const held = this.#supervisor.delay()
      if (held > 0) {
        await pause(held, undefined, { signal }).catch(() => undefined)
        continue
      }
      this.#replenish()
      const start = performance.now()
      this.#supervisor.opening(place)
      const port = channel.open()
      const opening: ChannelOpening = { port, place, isolated: this.#isolated }
      const death: unknown = await this.#piscina
        .run(opening, { name: 'serve', transferList: [port] })
        .catch((error: unknown) => error)
      channel.break(death)
      const short = performance.now() - start < SHORT_LIFE
      wait = short ? Math.min(Math.max(wait, FIRST_PAUSE) * 2, LONGEST_PAUSE) : FIRST_PAUSE
      await pause(wait, undefined, { signal }).catch(() => undefined)
    }
    channel.close()
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
      // With 'sync', a thread blocks between tasks, and so do its sockets and timers.
      atomics: 'disabled',
      idleTimeout: Infinity,
      workerData: setup,
      resourceLimits: { maxOldGenerationSizeMb: Math.ceil(memory / 2 ** 20) },
      recordTiming: false,
    })
    // The error of a thread that dies without a task; #observe handles its exit.
    piscina.on('error', () => undefined)
    piscina.on('workerCreate', () => {
      this.#observe(piscina)
    })
    this.#observe(piscina)
    return piscina
  }

  /** Observes the threads that Piscina has started since the last call. */
  #observe(piscina: Piscina): void {
    for (const worker of piscina.threads) {
      if (this.#meters.has(worker)) continue
      const { performance } = worker
      this.#meters.set(worker, new LoadMeter((...readings) => performance.eventLoopUtilization(...readings)))
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

  /** Creates a new Piscina if threads are missing: it no longer replaces threads after one has died while starting. */
  #replenish(): void {
    if (this.#abort.signal.aborted || this.#piscina.threads.length >= this.#options.threads) return
    const old = this.#piscina
    this.#piscina = this.#create()
    void old.destroy()
  }
}

/** Orders channels by load; a channel whose thread is not ready comes last. */
function costOf({ ready, load }: WorkerChannel): number {
  return ready ? load : load + 1e6
}
