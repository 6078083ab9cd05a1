import { type AsyncHook, AsyncResource, createHook, executionAsyncResource } from 'node:async_hooks'
import type { BoardSlot } from '../src/protocol/pulseBoard.js'

const OWNER = Symbol('owner')

interface Owned {
  [OWNER]?: BoardSlot
}

/**
 * Tracks which delivery the running code descends from: every timer, tick, promise and socket belongs to the delivery
 * that created it, and code of the application's setup module belongs to none. When a thread dies or blocks, the pulse
 * board thus shows whose code was running.
 *
 * Only isolated threads are tracked, since async hooks make each promise several times as expensive.
 *
 * Invariant: the owner is reported before its code runs and not cleared afterwards. Code that starves the thread in many
 * short callbacks is therefore found at any moment, even between two of them.
 */
export class CodeOwner {
  readonly #hook: AsyncHook
  readonly #report: () => void

  /** @param report called with the owner of the code that runs next */
  constructor(report: (owner: BoardSlot | undefined) => void) {
    this.#report = () => report(ownerOfRunningCode())
    this.#hook = createHook({
      init(_id, _type, _trigger, resource: Owned) {
        const owner = ownerOfRunningCode()
        if (owner !== undefined) resource[OWNER] = owner
      },
      before: this.#report,
    }).enable()
    // An unhandled rejection is reported after its callback has ended.
    process.on('uncaughtExceptionMonitor', this.#report)
  }

  stop(): void {
    this.#hook.disable()
    process.off('uncaughtExceptionMonitor', this.#report)
  }

  /** Runs a delivery. Every asynchronous resource that it creates belongs to it. */
  run<T>({ slot, generation }: BoardSlot, work: () => T): T {
    const resource: AsyncResource & Owned = new AsyncResource('Delivery')
    resource[OWNER] = { slot, generation }
    return resource.runInAsyncScope(work)
  }
}

function ownerOfRunningCode(): BoardSlot | undefined {
  return (executionAsyncResource() as Owned)[OWNER]
}
