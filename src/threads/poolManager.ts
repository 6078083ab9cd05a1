import { setTimeout as pause } from 'node:timers/promises'
import { ARCHIVE_PATIENCE } from '../protocol/archiveCell.js'
import type { Request, TaskOf } from '../protocol/tasks.js'
import { Pool, type PoolOptions, type PoolSupervisor } from './pool.js'
import type { WatchedThread } from './watchdog.js'

/** Milliseconds that the threads have to close their connections; a little more than a thread gives its SMTP sessions for QUIT. */
const QUIT_LIMIT = 2_000

/** Manages the shared pool, and a pool of one isolated thread while a delivery needs it. */
export class PoolManager {
  readonly shared: Pool
  readonly #options: PoolOptions
  #isolatedPool: Pool | undefined
  /** The last isolated task. The next one waits for it. */
  #last: Promise<unknown> = Promise.resolve()
  /** Isolated tasks that run or wait. */
  #isolatedTasks = 0
  #closing = false

  readonly #supervisor: PoolSupervisor

  constructor(options: PoolOptions, supervisor: PoolSupervisor) {
    this.#options = options
    this.#supervisor = supervisor
    this.shared = new Pool(options, supervisor, 0, false)
  }

  /** Returns the number of places on the pulse board: one for each shared thread, and the last for the isolated one. */
  static places(threads: number): number {
    return threads + 1
  }

  /** Runs a task in an isolated thread, one task at a time. The thread ends when no task waits for it. */
  isolated<T>(run: (pool: Pool) => Promise<T>): Promise<T> {
    this.#isolatedTasks++
    const result = this.#last.then(async () => {
      if (this.#closing) return run(this.shared)
      const { threads } = this.#options
      const pool = (this.#isolatedPool ??= new Pool(
        { ...this.#options, threads: 1 },
        this.#supervisor,
        threads,
        true,
      ))
      try {
        return await run(pool)
      } finally {
        if (--this.#isolatedTasks === 0) {
          this.#isolatedPool = undefined
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

  get pipelined(): number {
    return this.#all().reduce((sum, pool) => sum + pool.pipelined, 0)
  }

  watched(): WatchedThread[] {
    return this.#all().flatMap((pool) => pool.watched())
  }

  terminate(thread: number): void {
    for (const pool of this.#all()) pool.terminate(thread)
  }

  /**
   * Ends all threads, and starts no isolated ones any more. The threads close their connections first, because Piscina
   * terminates a thread without notice.
   */
  async close(): Promise<void> {
    this.#closing = true
    const quits = Promise.all(this.#all().map((pool) => pool.quit()))
    const limit = QUIT_LIMIT + (this.#options.setup.archive === undefined ? 0 : ARCHIVE_PATIENCE)
    await Promise.race([quits, pause(limit, undefined, { ref: false })])
    await Promise.all(this.#all().map((pool) => pool.destroy()))
  }

  #all(): Pool[] {
    return this.#isolatedPool === undefined ? [this.shared] : [this.shared, this.#isolatedPool]
  }
}
