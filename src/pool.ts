import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Worker } from 'node:worker_threads'
import { Piscina } from 'piscina'
import type { ThreadSetup } from './wire.js'

export interface PoolOptions {
  setup: ThreadSetup
  threads: number
  /** Tasks at a time in each thread. */
  concurrency: number
  /** Bytes of heap for each thread. */
  memory: number
  started(thread: number): void
  /** A thread ended that nobody had asked to end. */
  died(thread: number, reason: string): void
}

const THREAD_FILE = fileURLToPath(new URL('../workers/thread.js', import.meta.url))

/**
 * A pool of threads: Piscina, with its gaps closed. Its queue stays empty, since nobody gives it more tasks than
 * its threads may have at a time.
 */
export class Pool {
  readonly #options: PoolOptions
  readonly #known = new WeakSet<Worker>()
  /** Threads whose exit has not been seen yet. */
  readonly #alive = new Set<Worker>()
  #piscina: Piscina
  #destroying = false

  constructor(options: PoolOptions) {
    this.#options = options
    this.#piscina = this.#create()
  }

  /** Runs one of the functions that `workers/thread.ts` exports. Rejects when its thread dies, always the same way. */
  run(name: 'probe' | 'deliver' | 'render', task?: object): Promise<unknown> {
    return this.#piscina.run(task, { name })
  }

  /** Ids of the threads there are. */
  threads(): number[] {
    return this.#piscina.threads.map(({ threadId }) => threadId)
  }

  /** Ends a thread, whatever it does; a new one takes its place. */
  end(thread: number): void {
    void this.#piscina.threads.find(({ threadId }) => threadId === thread)?.terminate()
  }

  async destroy(): Promise<void> {
    this.#destroying = true
    // Piscina replaces a thread whose exit it learns of after it was destroyed: go on until all have been heard of.
    do {
      await this.#piscina.destroy()
      await Promise.all([...this.#alive].map((worker) => once(worker, 'exit')))
    } while (this.#piscina.threads.length > 0)
  }

  #create(): Piscina {
    const { threads, concurrency, memory, setup } = this.#options
    const piscina = new Piscina({
      filename: THREAD_FILE,
      name: 'deliver',
      minThreads: threads,
      maxThreads: threads,
      concurrentTasksPerWorker: concurrency,
      maxQueue: threads * concurrency,
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
      this.#known.add(worker)
      this.#alive.add(worker)
      const thread = worker.threadId
      let reason: string | undefined
      worker.once('error', (error: Error) => {
        reason = error.message
      })
      worker.once('exit', (code) => {
        this.#alive.delete(worker)
        if (this.#destroying || piscina !== this.#piscina) return
        this.#options.died(thread, reason ?? `it exited with code ${code}`)
        setImmediate(() => {
          this.#replenish(piscina)
        })
      })
      this.#options.started(thread)
    }
  }

  /** Piscina gives up replacing threads once one has died while starting; a new one doesn't. */
  #replenish(piscina: Piscina): void {
    if (this.#destroying || piscina !== this.#piscina || piscina.threads.length >= this.#options.threads)
      return
    this.#piscina = this.#create()
    void piscina.destroy()
  }
}
