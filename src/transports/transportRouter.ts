import type { Clock } from '../clock.js'
import { DEFAULT_TRANSPORT } from '../protocol/transportConfig.js'
import type { BreakerOptions } from './breaker.js'
import type { Allowances } from './budgets.js'
import { TransportState, type TransportListener, type TransportStateOptions } from './transportState.js'

/** The transports by name, and which of them takes a message. */
export class TransportRouter {
  readonly #routes: ReadonlyMap<string, TransportState>

  constructor(
    options: readonly TransportStateOptions[],
    breaker: Required<BreakerOptions>,
    listener: TransportListener,
    allowances: Allowances,
    clock: Clock,
  ) {
    this.#routes = new Map(
      options.map((route) => [route.name, new TransportState(route, breaker, listener, allowances, clock)]),
    )
  }

  /**
   * The one that takes a message of this transport now: its own, or the first of those in its place that can, while its own
   * can't. A message is nobody else's before its attempt is over.
   */
  for(transport: string): TransportState | undefined {
    const own = this.#own(transport)
    if (own === undefined || own.failover.length === 0 || !own.breaker.holds) return own
    return this.#substitutes(own).find(({ breaker }) => !breaker.holds) ?? own
  }

  /** Milliseconds until a message of this transport may be taken: none where one in its place can. */
  delay(transport: string): number {
    const own = this.#own(transport)
    if (own === undefined) return 0
    const delays = this.#substitutes(own).map(({ breaker }) => (breaker.holds ? breaker.delay() : 0))
    return Math.min(own.breaker.delay(), ...delays)
  }

  /** The transports, as messages name them, whose messages this route takes at present. */
  namesFor(route: TransportState): string[] {
    const names = new Set([...this.#routes.keys(), DEFAULT_TRANSPORT])
    return [...names].filter((name) => this.for(name) === route)
  }

  get(transport: string): TransportState | undefined {
    return this.#routes.get(transport)
  }

  all(): TransportState[] {
    return [...this.#routes.values()]
  }

  /** A process that knew no transports meant the first of ours. */
  #own(transport: string): TransportState | undefined {
    const own = this.#routes.get(transport)
    if (own !== undefined || transport !== DEFAULT_TRANSPORT) return own
    return this.#routes.values().next().value
  }

  #substitutes({ failover }: TransportState): TransportState[] {
    return failover.flatMap((name) => this.#routes.get(name) ?? [])
  }
}
