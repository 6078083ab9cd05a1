import { ThreadpostError } from '../errors.js'
import type { ReplyOf, TaskOf } from '../protocol/tasks.js'
import type { Pool } from './pool.js'
import type { PoolManager } from './poolManager.js'
import type { SlotPool } from './slotPool.js'
import type { Supervisor } from './supervisor.js'
import { ThreadDied } from './workerChannel.js'

/** Requests that run a template's code and send nothing. */
type Rendering = 'render' | 'compose' | 'inspect'

/** Isolated threads that may die around a render before its caller is told. */
const MOST_DEATHS = 3

/** Renders without a message, in the threads that deliver. One that survives the death of its thread goes again, as a delivery does. */
export class RenderRequests {
  readonly #pools: PoolManager
  readonly #free: SlotPool
  readonly #supervisor: Supervisor

  constructor(pools: PoolManager, free: SlotPool, supervisor: Supervisor) {
    this.#pools = pools
    this.#free = free
    this.#supervisor = supervisor
  }

  /** @throws ThreadpostError `TEMPLATE_ERROR` when the thread died of it, or none can render; `CLOSED` */
  async run<R extends Rendering>(
    request: R,
    what: Omit<TaskOf<R>, 'slot' | 'generation'>,
  ): Promise<ReplyOf<R>> {
    const { shared } = this.#pools
    let result = await this.#once(shared, request, what)
    while (result === 'bystander') result = await this.#once(shared, request, what)
    for (let deaths = 0; result === 'suspect' || result === 'bystander'; deaths++) {
      if (deaths >= MOST_DEATHS) throw noThread('each thread ended, for a reason that is not in the template')
      result = await this.#pools.isolated((pool) => this.#once(pool, request, what))
    }
    return result
  }

  async #once<R extends Rendering>(
    pool: Pool,
    request: R,
    what: Omit<TaskOf<R>, 'slot' | 'generation'>,
  ): Promise<ReplyOf<R> | 'suspect' | 'bystander'> {
    const outage = this.#supervisor.outageOf(pool !== this.#pools.shared)
    if (outage !== undefined) throw noThread(outage.reason)
    const slot = await this.#free.acquireForRender()
    const generation = this.#supervisor.begin(slot, request)
    try {
      return await pool.ask(request, { ...what, slot, generation } as TaskOf<R>)
    } catch (error) {
      if (!(error instanceof ThreadDied)) throw error
      const verdict = this.#supervisor.roleOf(slot, error)
      if (verdict === 'closed') throw new ThreadpostError('CLOSED', 'The mailer was closed', { cause: error })
      if (verdict !== 'culprit') return verdict
      throw new ThreadpostError(
        'TEMPLATE_ERROR',
        'The thread ended while rendering: the template or a helper runs without end, uses too much memory or ends the process.',
        { cause: error },
      )
    } finally {
      this.#supervisor.release(slot)
      this.#free.releaseForRender(slot)
    }
  }
}

function noThread(reason: string): ThreadpostError {
  return new ThreadpostError('TEMPLATE_ERROR', `Nothing can be rendered at present: ${reason}`)
}
