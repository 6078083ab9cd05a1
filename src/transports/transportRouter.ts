import type { Clock } from '../clock.js'
import { DEFAULT_TRANSPORT } from '../protocol/transportConfig.js'
import type { BreakerOptions } from './breaker.js'
import type { Allowances } from './rateLimiter.js'
import type { Quotas } from './transportQuota.js'
import {
  type Spread,
  TransportState,
  type TransportListener,
  type TransportStateOptions,
} from './transportState.js'

/** Transports that are gone and were failing, at most. */
const MAX_REMEMBERED = 1_000

/** Routes messages: the transports by name, and which of them takes a message at the moment. */
export class TransportRouter {
  readonly #transports: Map<string, TransportState>
  /** The states of failing transports that are gone: if one returns, it is still failing. */
  readonly #remembered = new Map<string, TransportState>()
  readonly #create: (options: TransportStateOptions) => TransportState

  constructor(
    options: readonly TransportStateOptions[],
    breaker: Required<BreakerOptions>,
    listener: TransportListener,
    allowances: Allowances,
    clock: Clock,
    quotas?: Quotas,
  ) {
    this.#create = (each) => new TransportState(each, breaker, listener, allowances, clock, quotas)
    this.#transports = new Map(options.map((each) => [each.name, this.#create(each)]))
  }

  /** Adds a transport. One that was forgotten while it was failing continues where it was. */
  add(options: TransportStateOptions): TransportState {
    const { name } = options
    const remembered = this.#remembered.get(name)
    this.#remembered.delete(name)
    remembered?.reload(options)
    const state = remembered ?? this.#create(options)
    this.#transports.set(name, state)
    return state
  }

  /** @param remember whether a failing transport is still known to be failing if it is added again */
  remove(name: string, remember: boolean): TransportState | undefined {
    const state = this.#transports.get(name)
    this.#transports.delete(name)
    if (state === undefined || !remember || !state.troubled) return state
    this.#remembered.set(name, state)
    const [oldest] = this.#remembered.keys()
    if (this.#remembered.size > MAX_REMEMBERED && oldest !== undefined) this.#remembered.delete(oldest)
    return state
  }

  /**
   * Returns the transport that takes a message now: the message's own, or, while that holds messages, the first failover
   * transport that doesn't. The transport doesn't change during an attempt.
   */
  for(transport: string): TransportState | undefined {
    const named = this.own(transport)
    const own = named?.spread === undefined || named.paused ? named : this.#share(named.spread)
    if (own === undefined || own.failover.length === 0 || !own.breaker.holds) return own
    return this.#failoverOf(own).find(({ breaker }) => !breaker.holds) ?? own
  }

  /** Returns the milliseconds until a transport may take a message: 0 if a failover transport can take it now. */
  delay(transport: string): number {
    const own = this.own(transport)
    if (own === undefined) return 0
    if (own.spread !== undefined) return Math.min(...own.spread.map(([name]) => this.#ownDelay(name)))
    const delays = this.#failoverOf(own).map(({ breaker }) => (breaker.holds ? breaker.delay() : 0))
    return Math.min(own.breaker.delay(), ...delays)
  }

  /** Returns the names, as messages give them, of the transports whose messages this one takes at the moment. */
  namesFor(transport: TransportState): string[] {
    const names = new Set([transport.name, DEFAULT_TRANSPORT])
    for (const { name, failover, spread = [] } of this.#transports.values())
      if (failover.includes(transport.name) || spread.some(([each]) => each === transport.name))
        names.add(name)
    return [...names].filter((name) => this.own(name)?.spread !== undefined || this.for(name) === transport)
  }

  get(transport: string): TransportState | undefined {
    return this.#transports.get(transport)
  }

  all(): TransportState[] {
    return [...this.#transports.values()]
  }

  /**
   * Returns the message's own transport. `DEFAULT_TRANSPORT` is the first transport: a sending process without transports
   * stores that name.
   */
  own(transport: string): TransportState | undefined {
    const own = this.#transports.get(transport)
    if (own !== undefined || transport !== DEFAULT_TRANSPORT) return own
    const first = this.#transports.values().next().value
    return first?.stale === undefined ? first : undefined
  }

  #ownDelay(name: string): number {
    const own = this.#transports.get(name)
    return own?.breaker.holds === true ? own.breaker.delay() : 0
  }

  /** Chooses a transport at random, by weight: among those that work, if there are any. */
  #share(spread: Spread): TransportState | undefined {
    const all = spread.flatMap(([name, weight]) => {
      const state = this.#transports.get(name)
      return state === undefined || state.spread !== undefined ? [] : [{ state, weight }]
    })
    const working = all.filter(({ state }) => !state.breaker.holds && !state.paused && !state.usedUp)
    const from = working.length > 0 ? working : all
    let left = Math.random() * from.reduce((sum, { weight }) => sum + weight, 0)
    return from.find(({ weight }) => (left -= weight) < 0)?.state ?? from.at(-1)?.state
  }

  #failoverOf({ failover }: TransportState): TransportState[] {
    return failover.flatMap((name) => this.#transports.get(name) ?? [])
  }
}
