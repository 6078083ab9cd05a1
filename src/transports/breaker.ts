import { Clock } from '../clock.js'
import { isUnreachable, type Outcome, type SmtpReply, type UnreachableCode } from '../protocol/outcome.js'
import type { Validator } from '../validation.js'

export interface BreakerOptions {
  /** Milliseconds until an unreachable transport is tried again; doubled each time it fails. @default 1_000, or `maxProbeDelay` where that is less */
  probeDelay?: number
  /** Milliseconds between two tries at most. @default 60_000 */
  maxProbeDelay?: number
}

/** Why no mail goes out over a transport. */
export interface TransportError {
  code: UnreachableCode
  /** One sentence for people. */
  message: string
  reply?: SmtpReply
}

/** How a transport fares. */
export interface TransportStatus {
  transport: string
  /** `open`: its server can't be reached, and its messages are held. */
  breaker: 'closed' | 'open'
  /** While open: ISO 8601, and what happened last. */
  since?: string
  trouble?: TransportError
  /** Messages a second at present, where it is limited, or slowed by its server's replies. */
  rate?: number
}

export interface BreakerListener {
  opened(transport: string, trouble: TransportError): void
  closed(transport: string, openFor: number): void
}

/** What a delivery may do: go ahead, perhaps as the one that tries whether the transport works again, or wait. */
export type BreakerAdmission = { result: 'pass'; probe: boolean } | { result: 'hold'; delay: number }

interface Open {
  since: number
  trouble: TransportError
  /** Milliseconds between the last try and the next. */
  delay: number
  /** On the clock that doesn't jump. */
  probeAt: number
  probing: boolean
}

export function resolveBreaker(check: Validator, value: unknown): Required<BreakerOptions> {
  const given = check.object(value, 'breaker', ['probeDelay', 'maxProbeDelay'])
  const maxProbeDelay = check.duration(given['maxProbeDelay'] ?? 60_000, 'breaker.maxProbeDelay', 1)
  const wish = given['probeDelay'] ?? Math.min(1_000, maxProbeDelay)
  const probeDelay = check.duration(wish, 'breaker.probeDelay', 1)
  if (probeDelay > maxProbeDelay)
    check.fail('breaker.probeDelay', `is longer than breaker.maxProbeDelay, ${maxProbeDelay} ms`)
  return { probeDelay, maxProbeDelay }
}

/**
 * The circuit breaker of one transport (Nygard, "Release It!"). A failure to connect, to secure or to authenticate
 * opens it: it says nothing of the message that met it, and the next would meet it too. While it is open a single
 * message at a time tries whether it has passed.
 */
export class Breaker {
  readonly #transport: string
  readonly #options: Required<BreakerOptions>
  readonly #listener: BreakerListener
  readonly #clock: Clock
  #open: Open | undefined

  constructor(
    transport: string,
    options: Required<BreakerOptions>,
    listener: BreakerListener,
    clock = new Clock(),
  ) {
    this.#transport = transport
    this.#options = options
    this.#listener = listener
    this.#clock = clock
  }

  get status(): TransportStatus {
    const transport = this.#transport
    if (this.#open === undefined) return { transport, breaker: 'closed' }
    const { since, trouble } = this.#open
    return { transport, breaker: 'open', since: new Date(since).toISOString(), trouble }
  }

  /** Whether a message would have to wait. */
  get holds(): boolean {
    const open = this.#open
    return open !== undefined && (open.probing || this.#clock.steady() < open.probeAt)
  }

  admit(): BreakerAdmission {
    const open = this.#open
    if (open === undefined) return { result: 'pass', probe: false }
    if (this.holds) return { result: 'hold', delay: this.delay() }
    open.probing = true
    return { result: 'pass', probe: true }
  }

  /** Milliseconds to hold a message for: until the next try, and a little longer, so that not all come at once. */
  delay(): number {
    if (this.#open === undefined) return 0
    const { probeAt, delay } = this.#open
    return Math.max(0, probeAt - this.#clock.steady()) + (Math.random() * delay) / 2
  }

  /** Learns from what a delivery came to. @param probe as it was admitted */
  record(outcome: Outcome, probe: boolean): void {
    if (isUnreachable(outcome)) this.#fail(outcome, probe)
    else if (reachedServer(outcome)) this.reset()
    // It never came to the transport: the next message tries.
    else if (probe && this.#open !== undefined) this.#open.probing = false
  }

  /** The transport works, or is another now. */
  reset(): void {
    const open = this.#open
    if (open === undefined) return
    this.#open = undefined
    this.#listener.closed(this.#transport, this.#clock.now() - open.since)
  }

  #fail({ code, message, reply }: Outcome, probe: boolean): void {
    const trouble: TransportError = {
      code: code as UnreachableCode,
      message,
      ...(reply === undefined ? {} : { reply }),
    }
    const { probeDelay, maxProbeDelay } = this.#options
    const open = this.#open
    if (open === undefined) {
      const probeAt = this.#clock.steady() + probeDelay
      this.#open = { since: this.#clock.now(), trouble, delay: probeDelay, probeAt, probing: false }
      this.#listener.opened(this.#transport, trouble)
      return
    }
    open.trouble = trouble
    if (!probe) return
    open.delay = Math.min(maxProbeDelay, open.delay * 2)
    open.probeAt = this.#clock.steady() + open.delay
    open.probing = false
  }
}

/** Whether a server took part: what went wrong before tells nothing of it. */
function reachedServer({ phase }: Outcome): boolean {
  return phase === 'envelope' || phase === 'body' || phase === 'replied'
}
