import { Clock } from '../clock.js'
import { isUnreachable, type Outcome, type SmtpReply, type UnreachableCode } from '../protocol/outcome.js'
import type { Validator } from '../validation.js'
import type { QuotaStatus } from './transportQuota.js'

export interface BreakerOptions {
  /** Milliseconds until an unreachable transport is tried again; doubled each time it fails. @default 1_000, or `maxProbeDelay` if that is less */
  probeDelay?: number
  /** The longest time between two tries, in milliseconds. @default 60_000 */
  maxProbeDelay?: number
}

/** The reason why a transport's mail is held. */
export interface TransportError {
  code: UnreachableCode
  /** One sentence for users. */
  message: string
  reply?: SmtpReply
}

/** The current state of a transport. */
export interface TransportStatus {
  transport: string
  /** `open`: its server can't be reached, refuses the password, or offers no secure connection; its messages are held. */
  breaker: 'closed' | 'open'
  /** While open: when it opened, as ISO 8601. */
  since?: string
  /** While open: the last error. */
  trouble?: TransportError
  /** Messages per second at the moment, if the transport is limited, or slowed by its server's replies. */
  rate?: number
  /** How much of its quota and warm-up is used, as this process learned when it last sent. */
  quota?: QuotaStatus
  /** Messages per second of the recipients' domains that asked for less, at the moment. */
  slowedDomains?: Record<string, number>
  /** Present while the transport is paused: its messages are held. */
  paused?: true
  /** Maximum number of connections at a time, if it was changed. */
  concurrency?: number
}

export interface BreakerListener {
  opened(transport: string, trouble: TransportError): void
  closed(transport: string, openFor: number): void
}

/** Whether a delivery may start, perhaps as the probe of an open breaker, or how many milliseconds to hold its message. */
export type BreakerAdmission = { result: 'pass'; probe: boolean } | { result: 'hold'; delay: number }

interface Open {
  since: number
  trouble: TransportError
  /** Milliseconds between the last probe and the next. */
  delay: number
  /** On the clock's steady time. */
  probeAt: number
  probing: boolean
}

export function resolveBreaker(check: Validator, value: unknown): Required<BreakerOptions> {
  const given = check.object(value, 'breaker', ['probeDelay', 'maxProbeDelay'])
  const maxProbeDelay = check.duration(given['maxProbeDelay'] ?? 60_000, 'breaker.maxProbeDelay', 1)
  const input = given['probeDelay'] ?? Math.min(1_000, maxProbeDelay)
  const probeDelay = check.duration(input, 'breaker.probeDelay', 1)
  if (probeDelay > maxProbeDelay)
    check.fail('breaker.probeDelay', `is longer than breaker.maxProbeDelay, ${maxProbeDelay} ms`)
  return { probeDelay, maxProbeDelay }
}

/**
 * The circuit breaker of one transport (Nygard, "Release It!"). A failure to connect, to secure the connection, or to
 * authenticate opens it: the message is not the cause, and any other would fail too. While it is open, one message at a
 * time probes whether the transport works again.
 *
 *     ┌────────┐   an unreachable outcome    ┌──────┐  admit() at probeAt  ┌─────────┐
 *     │ closed │ ──────────────────────────► │ open │ ───────────────────► │ probing │
 *     └────────┘                             └──────┘ ◄─────────────────── └─────────┘
 *         ▲                                      │    unreachable: the delay    │
 *         │                                      │    doubles                   │
 *         └──────────────────────────────────────┴──────────────────────────────┘
 *                      any outcome for which the server took part
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

  /** Whether messages are held at the moment. */
  get holds(): boolean {
    const open = this.#open
    return open !== undefined && (open.probing || this.#clock.steady() < open.probeAt)
  }

  /** Admits a delivery, or says how long to hold its message. */
  admit(): BreakerAdmission {
    const open = this.#open
    if (open === undefined) return { result: 'pass', probe: false }
    if (this.holds) return { result: 'hold', delay: this.delay() }
    open.probing = true
    return { result: 'pass', probe: true }
  }

  /** Returns the milliseconds to hold a message: until the next probe, plus a random share so that not all start at once. */
  delay(): number {
    if (this.#open === undefined) return 0
    const { probeAt, delay } = this.#open
    return Math.max(0, probeAt - this.#clock.steady()) + (Math.random() * delay) / 2
  }

  /** Records the outcome of a delivery. @param probe whether it was admitted as a probe */
  record(outcome: Outcome, probe: boolean): void {
    if (isUnreachable(outcome)) this.#fail(outcome, probe)
    else if (reachedServer(outcome)) this.reset()
    // The delivery did not reach the transport, so the next message probes.
    else if (probe && this.#open !== undefined) this.#open.probing = false
  }

  /** Closes the breaker: the transport works, or has new settings. */
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

/** Whether a server took part. An earlier failure says nothing about it. */
export function reachedServer({ phase }: Outcome): boolean {
  return phase === 'envelope' || phase === 'body' || phase === 'replied'
}
