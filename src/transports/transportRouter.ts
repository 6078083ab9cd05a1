import type { Clock } from '../clock.js'
import { DEFAULT_TRANSPORT } from '../protocol/transportConfig.js'
import type { BreakerOptions } from './breaker.js'
import type { Allowances } from './budgets.js'
import { TransportState, type TransportListener, type TransportStateOptions } from './transportState.js'

/** Routes messages: the transports by name, and which of them takes a message at the moment. */
export class TransportRouter {
  readonly #transports: ReadonlyMap<string, TransportState>

  constructor(
    options: readonly TransportStateOptions[],
    breaker: Required<BreakerOptions>,
    listener: TransportListener,
    allowances: Allowances,
    clock: Clock,
  ) {
    this.#transports = new Map(
      options.map((each) => [each.name, new TransportState(each, breaker, listener, allowances, clock)]),
    )
  }

  /**
   * Returns the transport that takes a message now: the message's own, or, while that holds messages, the first failover
   * transport that doesn't. The transport doesn't change during an attempt.
   */
  for(transport: string): TransportState | undefined {
    const own = this.#own(transport)
    if (own === undefined || own.failover.length === 0 || !own.breaker.holds) return own
    return this.#failoverOf(own).find(({ breaker }) => !breaker.holds) ?? own
  }

  /** Returns the milliseconds until a transport may take a message: 0 if a failover transport can take it now. */
  delay(transport: string): number {
    const own = this.#own(transport)
    if (own === undefined) return 0
    const delays = this.#failoverOf(own).map(({ breaker }) => (breaker.holds ? breaker.delay() : 0))
    return Math.min(own.breaker.delay(), ...delays)
  }

  /** Returns the names, as messages give them, of the transports whose messages this one takes at the moment. */
  namesFor(transport: TransportState): string[] {
    const names = new Set([...this.#transports.keys(), DEFAULT_TRANSPORT])
    return [...names].filter((name) => this.for(name) === transport)
  }

  get(transport: string): TransportState | undefined {
    return this.#transports.get(transport)
  }

  all(): TransportState[] {
    return [...this.#transports.values()]
  }

  /** `DEFAULT_TRANSPORT` is the first transport: a sending process without transports stores that name. */
  #own(transport: string): TransportState | undefined {
    const own = this.#transports.get(transport)
    if (own !== undefined || transport !== DEFAULT_TRANSPORT) return own
    return this.#transports.values().next().value
  }

  #failoverOf({ failover }: TransportState): TransportState[] {
    return failover.flatMap((name) => this.#transports.get(name) ?? [])
  }
}
