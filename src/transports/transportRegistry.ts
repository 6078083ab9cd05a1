import type { AdmissionQueue } from './admissionQueue.js'
import type { TransportStatus } from './breaker.js'
import type { TransportChange } from './transportManager.js'
import type { TransportRouter } from './transportRouter.js'
import type { TransportStateOptions } from './transportState.js'

/** Resolved transports whose state is reported, at most. */
const MAX_TROUBLED = 100

/** Adds, changes, and removes the transports that deliveries use. */
export class TransportRegistry {
  readonly #router: TransportRouter
  readonly #admission: AdmissionQueue

  constructor(router: TransportRouter, admission: AdmissionQueue) {
    this.#router = router
    this.#admission = admission
  }

  /** The transport has new settings: its messages need not wait for the breaker's next probe. */
  reloaded(options: TransportStateOptions): void {
    const transport = this.#router.get(options.name)
    if (transport === undefined) return
    transport.breaker.reset()
    transport.reload(options)
    this.#admission.recheck(transport)
  }

  /**
   * Adds a transport, unless it is known: its messages, which are held, are due at once.
   * @param resolved whether its settings are resolved again once its server refuses them
   * @returns whether it was not known
   */
  added(options: TransportStateOptions, resolved: boolean): boolean {
    const known = this.#router.get(options.name)
    const transport = known ?? this.#router.add(options)
    transport.stale = resolved ? false : undefined
    if (known === undefined) this.#admission.recheck(transport)
    return known === undefined
  }

  /** Whether no message waits for a transport, or is being sent over it. */
  idle(name: string): boolean {
    return this.#router.get(name)?.idle !== false
  }

  /**
   * Holds all messages of a transport from now on. Resolves when those in progress have ended.
   * @param remember whether a failing transport is still known to be failing if it is added again
   */
  async removed(name: string, remember = false): Promise<void> {
    const transport = this.#router.remove(name, remember)
    if (transport === undefined) return
    this.#admission.forget(transport)
    await transport.whenIdle()
  }

  /** Applies other limits to a transport. */
  limited(options: TransportStateOptions): void {
    const transport = this.#router.get(options.name)
    if (transport === undefined) return
    transport.reload(options)
    this.#admission.recheck(transport)
  }

  /** Pauses or resumes a transport, and notes its changed concurrency. */
  changed(name: string, { paused = false, concurrency }: TransportChange): void {
    const transport = this.#router.get(name)
    if (transport === undefined) return
    const resumed = transport.paused && !paused
    transport.paused = paused
    transport.concurrency = concurrency
    if (resumed) this.#admission.recheck(transport)
  }

  /** The states of the transports; of those that were resolved, only of some that don't work properly. */
  statuses(): TransportStatus[] {
    let resolved = 0
    return this.#router
      .all()
      .filter(({ spread }) => spread === undefined)
      .filter(({ stale, troubled }) => stale === undefined || (troubled && resolved++ < MAX_TROUBLED))
      .map(({ status }) => status)
  }
}
