import { type AsyncHook, AsyncResource, createHook, executionAsyncResource } from 'node:async_hooks'
import type { BoardSlot } from '../src/protocol/pulse.js'

const OWNER = Symbol('owner')

interface Owned {
  [OWNER]?: BoardSlot
}

/**
 * Tells which delivery the running code descends from: every timer, tick, promise and socket belongs to the delivery
 * that made it, and code of the application's setup belongs to none. A thread that dies or stands still thus leaves
 * behind whose code it was.
 *
 * Only isolated threads are watched this closely, since async hooks make each promise cost several times as much.
 *
 * Invariant: the owner is told before code runs and never after it. Code that starves the thread in many short callbacks
 * is thus found at any moment, also between two of them.
 */
export class Lineage {
  readonly #hook: AsyncHook
  readonly #tellRunning: () => void

  /** @param tell is given the owner of what runs from now on */
  constructor(tell: (owner: BoardSlot | undefined) => void) {
    this.#tellRunning = () => tell(ownerOfRunning())
    this.#hook = createHook({
      init(_id, _type, _trigger, resource: Owned) {
        const owner = ownerOfRunning()
        if (owner !== undefined) resource[OWNER] = owner
      },
      before: this.#tellRunning,
    }).enable()
    // A rejection that nobody handles is found after its callback has ended.
    process.on('uncaughtExceptionMonitor', this.#tellRunning)
  }

  stop(): void {
    this.#hook.disable()
    process.off('uncaughtExceptionMonitor', this.#tellRunning)
  }

  /** Runs a delivery: whatever it leaves behind is its own. */
  run<T>({ slot, generation }: BoardSlot, work: () => T): T {
    const resource: AsyncResource & Owned = new AsyncResource('Delivery')
    resource[OWNER] = { slot, generation }
    return resource.runInAsyncScope(work)
  }
}

function ownerOfRunning(): BoardSlot | undefined {
  return (executionAsyncResource() as Owned)[OWNER]
}
