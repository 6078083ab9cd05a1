import { ThreadpostError } from '../errors.js'
import type { ReplyOf, TaskOf } from '../protocol/tasks.js'
import type { Pool } from './pool.js'
import type { PoolManager } from './poolManager.js'
import type { SlotPool } from './slotPool.js'
import type { Supervisor } from './supervisor.js'
import { ThreadDied } from './workerChannel.js'

/** Requests that run a template's code and send nothing. */
type RenderRequest = 'render' | 'compose' | 'inspect'

/** Isolated threads that may die during a render before it fails. */
const MAX_DEATHS = 3

/** Renders templates for callers, in the threads that deliver. A render that did not kill its thread runs again, as a delivery does. */
export class RenderRequests {
  readonly #pools: PoolManager
  readonly #free: SlotPool
  readonly #supervisor: Supervisor

  constructor(pools: PoolManager, free: SlotPool, supervisor: Supervisor) {
    this.#pools = pools
    this.#free = free
    this.#supervisor = supervisor
  }

  /** @throws ThreadpostError `TEMPLATE_ERROR` if the thread died because of it, or no thread can render; `CLOSED` */
  async run<R extends RenderRequest>(
    request: R,
    task: Omit<TaskOf<R>, 'slot' | 'generation'>,
  ): Promise<ReplyOf<R>> {
    const { shared } = this.#pools
    let result = await this.#once(shared, request, task)
    while (result === 'bystander') result = await this.#once(shared, request, task)
    for (let deaths = 0; result === 'suspect' || result === 'bystander'; deaths++) {
      if (deaths >= MAX_DEATHS) throw noThread('each thread died, and the template was not the cause')
      result = await this.#pools.isolated((pool) => this.#once(pool, request, task))
    }
    return result
  }

  async #once<R extends RenderRequest>(
    pool: Pool,
    request: R,
    task: Omit<TaskOf<R>, 'slot' | 'generation'>,
  ): Promise<ReplyOf<R> | 'suspect' | 'bystander'> {
    const outage = this.#supervisor.outageOf(pool !== this.#pools.shared)
    if (outage !== undefined) throw noThread(outage.reason)
    const slot = await this.#free.acquireForRender()
    const generation = this.#supervisor.begin(slot, request)
    try {
      return await pool.ask(request, { ...task, slot, generation } as TaskOf<R>)
    } catch (error) {
      if (!(error instanceof ThreadDied)) throw error
      const role = this.#supervisor.roleOf(slot, error)
      if (role === 'closed') throw new ThreadpostError('CLOSED', 'The mailer was closed', { cause: error })
      if (role !== 'culprit') return role
      throw new ThreadpostError(
        'TEMPLATE_ERROR',
        'The thread died while rendering: the template or a helper runs forever, uses too much memory, or ends the process.',
        { cause: error },
      )
    } finally {
      this.#supervisor.release(slot)
      this.#free.releaseForRender(slot)
    }
  }
}

function noThread(reason: string): ThreadpostError {
  return new ThreadpostError('TEMPLATE_ERROR', `Templates can't be rendered at the moment: ${reason}`)
}
