import { setTimeout as pause } from 'node:timers/promises'
import type { Request, TaskOf } from '../protocol/tasks.js'
import { Pool, type PoolOptions, type PoolSupervisor } from './pool.js'
import type { WatchedThread } from './watchdog.js'

/** A little more than a thread allows its sessions to say goodbye, in ms. */
const FAREWELL = 2_000

/** The pool of all, and beside it, while a delivery has to be alone in its thread, one of a single thread. */
export class PoolManager {
  readonly shared: Pool
  readonly #options: PoolOptions
  #solitary: Pool | undefined
  /** The last that asked to be alone; each waits for the one before it. */
  #last: Promise<unknown> = Promise.resolve()
  #alone = 0
  #closing = false

  readonly #warden: PoolSupervisor

  constructor(options: PoolOptions, warden: PoolSupervisor) {
    this.#options = options
    this.#warden = warden
    this.shared = new Pool(options, warden, 0, false)
  }

  /** Places on the pulse board: one for each thread, and the last for isolated ones. */
  static places(threads: number): number {
    return threads + 1
  }

  /** Runs something with a thread to itself, one at a time. The thread ends when nobody waits for it. */
  isolated<T>(run: (pool: Pool) => Promise<T>): Promise<T> {
    this.#alone++
    const result = this.#last.then(async () => {
      if (this.#closing) return run(this.shared)
      const { threads } = this.#options
      const pool = (this.#solitary ??= new Pool(
        { ...this.#options, threads: 1 },
        this.#warden,
        threads,
        true,
      ))
      try {
        return await run(pool)
      } finally {
        if (--this.#alone === 0) {
          this.#solitary = undefined
          await pool.destroy()
        }
      }
    })
    this.#last = result.catch(() => undefined)
    return result
  }

  /** See {@link Pool.askAll}. */
  async askAll<R extends Request>(request: R, task: TaskOf<R>): Promise<void> {
    await Promise.all(this.#all().map((pool) => pool.askAll(request, task)))
  }

  threads(): ReturnType<Pool['threads']> {
    return this.#all().flatMap((pool) => pool.threads())
  }

  watched(): WatchedThread[] {
    return this.#all().flatMap((pool) => pool.watched())
  }

  terminate(thread: number): void {
    for (const pool of this.#all()) pool.terminate(thread)
  }

  /**
   * Ends all threads, and starts none for somebody alone any more. Piscina ends a thread without a word: what they have
   * open they close themselves, before.
   */
  async close(): Promise<void> {
    this.#closing = true
    const goodbyes = Promise.all(this.#all().map((pool) => pool.quit()))
    await Promise.race([goodbyes, pause(FAREWELL, undefined, { ref: false })])
    await Promise.all(this.#all().map((pool) => pool.destroy()))
  }

  #all(): Pool[] {
    return this.#solitary === undefined ? [this.shared] : [this.shared, this.#solitary]
  }
}
