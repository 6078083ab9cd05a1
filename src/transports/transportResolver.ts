import { ThreadpostError } from '../errors.js'
import type { Logger } from '../logging/logger.js'
import { GenerationalCache } from '../structures/generationalCache.js'
import type { ResolvedTransport, TransportInput } from './transportOptions.js'

/** The option `resolveTransport`. */
export type ResolveTransport = (
  name: string,
) => TransportInput | undefined | Promise<TransportInput | undefined>

/** Why a message can't be sent now, and when to look at it again. */
export interface Unavailability {
  /** The rest of a sentence. */
  reason: string
  /** Milliseconds. */
  delay: number
}

/** Milliseconds after which a message is looked at again whose transport is not there; adding it makes the message due at once. */
const UNAVAILABLE_RECHECK = 60_000
/** The message names a transport that is not there. */
export const UNKNOWN_TRANSPORT: Unavailability = {
  reason: 'it was removed, or was not added yet; its mail is sent once it is added',
  delay: UNAVAILABLE_RECHECK,
}

/** Holds the transports that are in use. */
export interface ResolvedTransports {
  /** Validates the settings. @throws ThreadpostError `INVALID_OPTIONS` */
  check(name: string, input: unknown): ResolvedTransport
  /** Adds a transport, or gives a known one new settings; its messages are due then. */
  put(transport: ResolvedTransport): Promise<void>
  /** Whether no message needs the transport now. */
  idle(name: string): boolean
  evict(name: string): Promise<void>
}

/** Milliseconds that the application's function has. */
const TIME_LIMIT = 10_000
/** Milliseconds until a transport that could not be resolved is resolved again; doubled each time. */
const FIRST_DELAY = 1_000
const LONGEST_DELAY = 60_000
/** Messages that wait for one transport, and for all together. Further ones are held: the queue stores them. */
const MAX_WAITING_FOR_ONE = 10
const MAX_WAITING = 1_000
/** Failures that are remembered, at least. */
const MAX_FAILURES = 10_000

interface Failure extends Unavailability {
  /** On `performance.now()`'s clock. */
  until: number
}

/**
 * Resolves the transports that messages name with the application's function, and keeps the most recently used ones. Each
 * process resolves for itself, so that credentials are never stored. One that was refused by its server is resolved again.
 *
 *     unknown ──resolve()──► resolving ──put()──► known ──AUTH_FAILED──► stale ──resolve()──► …
 *        ▲                      │                   │
 *        │      it failed:      ▼                   │ the least recently used, once idle
 *        └────────────────── failed                 │
 *        └──────────────────────────────────────────┘
 */
export class TransportResolver {
  readonly #resolve: ResolveTransport
  readonly #limit: number
  readonly #transports: ResolvedTransports
  readonly #logger: Logger
  /** The least recently used one first. */
  readonly #known = new Set<string>()
  readonly #pending = new Map<string, { result: Promise<Unavailability | undefined>; waiting: number }>()
  readonly #failures = new GenerationalCache<string, Failure>(MAX_FAILURES)
  /** Messages that wait for a transport. */
  waiting = 0

  constructor(resolve: ResolveTransport, limit: number, transports: ResolvedTransports, logger: Logger) {
    this.#resolve = resolve
    this.#limit = limit
    this.#transports = transports
    this.#logger = logger
  }

  /** Resolves once the transport is known, with undefined, or can't be: then with the reason. Never rejects. */
  async resolve(name: string): Promise<Unavailability | undefined> {
    const failure = this.#failures.take(name)
    const left = (failure?.until ?? 0) - performance.now()
    if (failure !== undefined && left > 0) {
      this.#failures.add(name, failure)
      return { reason: failure.reason, delay: left * (1 + Math.random() / 2) }
    }
    let pending = this.#pending.get(name)
    const busy = { reason: 'it is being resolved', delay: FIRST_DELAY }
    if (this.waiting >= MAX_WAITING || (pending?.waiting ?? 0) >= MAX_WAITING_FOR_ONE) return busy
    if (pending === undefined) {
      pending = { result: this.#run(name, failure?.delay ?? 0), waiting: 0 }
      this.#pending.set(name, pending)
    }
    pending.waiting++
    this.waiting++
    try {
      return await pending.result
    } finally {
      this.waiting--
      pending.waiting--
    }
  }

  /** Notes that a transport is used now. */
  used(name: string): void {
    if (this.#known.delete(name)) this.#known.add(name)
  }

  /** Forgets a name: its transport was added or removed by the application. */
  forget(name: string): void {
    this.#known.delete(name)
    this.#failures.take(name)
  }

  async #run(name: string, lastDelay: number): Promise<Unavailability | undefined> {
    try {
      const input = await this.#call(name)
      if (input === undefined) return this.#fail(name, 'resolveTransport knows no such transport', lastDelay)
      await this.#transports.put(this.#transports.check(name, input))
      this.#known.delete(name)
      this.#known.add(name)
      this.#evict(name)
      return undefined
    } catch (error) {
      const reason =
        error instanceof ThreadpostError
          ? `the settings that resolveTransport returned are not valid (${error.message})`
          : error instanceof TooLate
            ? `resolveTransport took longer than ${TIME_LIMIT / 1_000} s`
            : 'resolveTransport failed'
      return this.#fail(name, reason, lastDelay, error)
    } finally {
      this.#pending.delete(name)
    }
  }

  async #call(name: string): Promise<TransportInput | undefined> {
    let timer: NodeJS.Timeout | undefined
    const tooLate = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new TooLate()), TIME_LIMIT)
    })
    try {
      return await Promise.race([this.#resolve(name), tooLate])
    } finally {
      clearTimeout(timer)
    }
  }

  /** The application's error may contain anything, also a password, so only its kind is logged. */
  #fail(transport: string, reason: string, lastDelay: number, error?: unknown): Unavailability {
    const delay = Math.min(LONGEST_DELAY, Math.max(FIRST_DELAY, lastDelay * 2))
    this.#failures.add(transport, { reason, delay, until: performance.now() + delay })
    if (lastDelay === 0) {
      const kind =
        error instanceof Error && !(error instanceof TooLate) ? { error: error.name.slice(0, 40) } : {}
      this.#logger.warn({ transport, ...kind }, `Mail is held: the transport is not available, ${reason}`)
    }
    return { reason, delay: delay * (1 + Math.random() / 2) }
  }

  /** Closes the least recently used transports that no message needs. While all are in use, there may be more than the limit. */
  #evict(newest: string): void {
    for (const name of this.#known) {
      if (this.#known.size <= this.#limit) return
      if (name === newest || !this.#transports.idle(name)) continue
      this.#known.delete(name)
      void this.#transports.evict(name).catch(() => undefined)
    }
  }
}

class TooLate extends Error {}
