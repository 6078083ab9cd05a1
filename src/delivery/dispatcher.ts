import type { Clock } from '../clock.js'
import type { Logger } from '../logging/logger.js'
import type { LoadRules } from '../message/loaded.js'
import { openRecipients, type Settlement } from '../message/messageState.js'
import type { SafeMode } from '../message/safeMode.js'
import type { Evidence } from '../protocol/evidence.js'
import type { Outcome } from '../protocol/outcome.js'
import type { Consumer, QueuedMessage, QueueDriver } from '../queue/driver.js'
import type { SharedRecords } from '../queue/records.js'
import { unreadableSettlement } from '../queue/unreadable.js'
import { IndexedBag } from '../structures/indexedBag.js'
import type { SuppressionLookup } from '../suppressions/suppressionLookup.js'
import type { DeliveryOrder, Runner } from '../threads/runner.js'
import { AdmissionQueue } from '../transports/admissionQueue.js'
import type { BreakerOptions } from '../transports/breaker.js'
import { domainsOf } from '../transports/domainRates.js'
import { type Allowances, inThisProcess } from '../transports/rateLimiter.js'
import { quotasIn } from '../transports/transportQuota.js'
import { TransportRegistry } from '../transports/transportRegistry.js'
import { type TransportResolver, UNKNOWN_TRANSPORT } from '../transports/transportResolver.js'
import { TransportRouter } from '../transports/transportRouter.js'
import type {
  BudgetLease,
  TransportListener,
  TransportState,
  TransportStateOptions,
} from '../transports/transportState.js'
import { deliverUntilSettled, outcomeAfterLoss } from './crashRecovery.js'
import { orderOf } from './deliveryOrder.js'
import { type GroupLimitOptions, GroupLimits } from './groupLimits.js'
import { LoadStep } from './loadStep.js'
import { held, OutcomeHandler, type OutcomeHandlerOptions } from './outcomeHandler.js'
import { RecipientFilter, suppressedOutcome } from './recipientFilter.js'

/** Milliseconds after which a message of a paused transport is looked at again; resuming the transport makes it due at once. */
const PAUSE_RECHECK = 60 * 60_000

export interface DispatcherOptions extends Omit<OutcomeHandlerOptions, 'router' | 'setupDelay'> {
  transports: readonly TransportStateOptions[]
  breaker: Required<BreakerOptions>
  listener: TransportListener
  safeMode: SafeMode | undefined
  /** The rules for what a template's `load` function returns. */
  loadRules: LoadRules
  suppressions: SuppressionLookup
  /** Creates the rate limiters. @default one for each transport, in this process */
  allowances?: Allowances | undefined
  /** The limits of each group. @default none */
  perGroup?: GroupLimitOptions | undefined
  /** The queue's records, which count the messages of transports with a quota. @default quotas are not kept */
  records?: SharedRecords
  /** Makes messages due that the queue holds for a budget; the queue driver implements it. */
  wakeHeld: QueueDriver['wakeHeld']
}

/**
 * Moves messages from the queue to the threads, each as soon as its transport's budget and a slot allow, and returns
 * their outcomes to the queue.
 */
export class Dispatcher implements Consumer {
  readonly #runner: Runner
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #safeMode: SafeMode | undefined
  readonly #loadRules: LoadRules
  readonly #router: TransportRouter
  /** The transports as deliveries know them. */
  readonly transports: TransportRegistry
  readonly #outcomes: OutcomeHandler
  readonly #inFlight = new IndexedBag<DeliveryOrder>()
  readonly #admission: AdmissionQueue
  readonly #groups: GroupLimits | undefined
  #resolver: TransportResolver | undefined
  readonly #filter: RecipientFilter

  constructor(
    runner: Runner,
    {
      transports,
      breaker,
      listener,
      safeMode,
      loadRules,
      allowances = inThisProcess,
      wakeHeld,
      records,
      perGroup,
      suppressions,
      ...handling
    }: DispatcherOptions,
  ) {
    this.#runner = runner
    this.#clock = handling.clock
    this.#logger = handling.logger
    this.#safeMode = safeMode
    this.#loadRules = loadRules
    this.#filter = new RecipientFilter(suppressions, handling.observer)
    const quotas = records && quotasIn(records, this.#clock)
    this.#router = new TransportRouter(transports, breaker, listener, allowances, this.#clock, quotas)
    this.#outcomes = new OutcomeHandler({
      ...handling,
      router: this.#router,
      setupDelay: () => this.#setupDelay(),
    })
    this.#groups = perGroup && new GroupLimits(perGroup, allowances, this.#clock)
    this.#admission = new AdmissionQueue(runner.slots, async (transport, most) =>
      this.#groups?.active === true ? 0 : wakeHeld(this.#router.namesFor(transport), most),
    )
    this.transports = new TransportRegistry(this.#router, this.#admission)
  }

  /** Resolves the transports that messages name and that are not known. Call this before the queue hands out messages. */
  resolveWith(resolver: TransportResolver): void {
    this.#resolver = resolver
  }

  /** Call this once the queue hands out messages: those that an earlier process held for a budget may have room now. */
  started(): void {
    for (const transport of this.#router.all()) this.#admission.recheck(transport)
  }

  /** A message that waits for a transport's budget, or for its settings, needs no slot, so the queue may hand out as many more. */
  get slots(): number {
    return this.#runner.slots.capacity + this.#admission.waitingForBudget + (this.#resolver?.waiting ?? 0)
  }

  onMoreSlots(callback: () => void): void {
    this.#admission.onMoreSlots = callback
  }

  /** If the queue hands out more messages than there are slots, the message waits for a slot. */
  deliver(message: QueuedMessage): Promise<Settlement> {
    if (message.state.sealed !== undefined) return unreadableSettlement(message.state, this.#clock.now())
    return this.#filter.passes(message) ? this.#dispatch(message) : this.#deliverFiltered(message)
  }

  async #deliverFiltered(message: QueuedMessage): Promise<Settlement> {
    const filtered = await this.#filter.filter(message)
    const now = this.#clock.now()
    if (filtered === undefined) return held(message, 'budget', now)
    if (openRecipients(filtered.state).length > 0) return this.#dispatch(filtered)
    return this.#outcomes.settle(filtered, suppressedOutcome(filtered), now)
  }

  #dispatch(message: QueuedMessage): Promise<Settlement> {
    const { outage } = this.#runner
    if (outage !== undefined) return Promise.resolve(this.#outcomes.holdForSetup(message, outage.reason))
    const own = this.#router.own(message.job.transport)
    return own === undefined || (own.stale === true && !own.breaker.holds)
      ? this.#deliverOnceKnown(message)
      : this.#deliverOver(own, message)
  }

  /** The message's transport is not known, or its settings may be wrong: they are resolved first. */
  async #deliverOnceKnown(message: QueuedMessage): Promise<Settlement> {
    const { transport } = message.job
    const unavailable = await (this.#resolver?.resolve(transport) ?? UNKNOWN_TRANSPORT)
    const own = this.#router.own(transport)
    if (own !== undefined) return this.#deliverOver(own, message)
    const { reason, delay } = unavailable ?? UNKNOWN_TRANSPORT
    const why = `No transport "${transport}" is available: ${reason}`
    return this.#outcomes.holdWithoutTransport(message, why, delay)
  }

  /** @param own the message's transport; another may send it, but this one stays until it is settled */
  async #deliverOver(own: TransportState, message: QueuedMessage): Promise<Settlement> {
    own.enter()
    if (own.stale !== undefined) this.#resolver?.used(own.name)
    try {
      return await this.#deliverOverAny(message)
    } finally {
      own.leave()
    }
  }

  #deliverOverAny(message: QueuedMessage): Promise<Settlement> {
    const transport = this.#router.for(message.job.transport)
    if (transport?.paused === true) return Promise.resolve(this.#heldForPause(message))
    const restricted = transport?.restricted === true || this.#groups !== undefined
    return restricted ? this.#deliverWithin(transport, message) : this.#deliverInTurn(transport, message)
  }

  async #deliverWithin(transport: TransportState | undefined, message: QueuedMessage): Promise<Settlement> {
    const domains = domainsOf(openRecipients(message.state))
    const deliver = (): Promise<Settlement> => this.#deliverInTurn(transport, message)
    const within = (): Promise<Settlement | number> =>
      transport?.within(message.job, domains, deliver) ?? deliver()
    const result = await (this.#groups?.within(message.job.group, within) ?? within())
    return typeof result === 'number' ? held(message, 'budget', result) : result
  }

  #deliverInTurn(transport: TransportState | undefined, message: QueuedMessage): Promise<Settlement> {
    const forBudget = transport?.limited === true
    const slot = forBudget ? undefined : this.#runner.slots.reserve()
    return slot === undefined
      ? this.#deliverWhenAdmitted(transport, message, forBudget)
      : this.#deliverNow(transport, message, slot, undefined)
  }

  #deliverWhenAdmitted(
    transport: TransportState | undefined,
    message: QueuedMessage,
    forBudget: boolean,
  ): Promise<Settlement> {
    const { job, state } = message
    return new Promise((resolve) => {
      this.#admission.add(transport, {
        id: job.id,
        priority: job.priority,
        domains: domainsOf(openRecipients(state)),
        forBudget,
        start: (slot, lease) => resolve(this.#deliverNow(transport, message, slot, lease)),
        postpone: (delay) => resolve(held(message, 'budget', this.#clock.now() + delay)),
      })
    })
  }

  /** Releases the slot when the delivery has ended. No other code does. */
  async #deliverNow(
    transport: TransportState | undefined,
    message: QueuedMessage,
    slot: number,
    lease: BudgetLease | undefined,
  ): Promise<Settlement> {
    const { job, state } = message
    const start = this.#clock.now()
    const paused = transport?.paused === true
    const admission = paused ? undefined : (transport?.begin(start) ?? { result: 'pass', probe: false })
    if (admission?.result !== 'pass') {
      // The release admits other messages: not in the middle of the round that admitted this one.
      await Promise.resolve()
      this.#release(slot, lease, undefined)
      if (paused) return this.#heldForPause(message)
      return held(message, 'breaker', start + this.#router.delay(job.transport))
    }
    const load = new LoadStep(message, this.#loadRules, this.#filter)
    const order = orderOf(message, load, transport?.name ?? job.transport, slot, lease?.notBefore)
    const ended = transport && this.#admission.watch(transport, slot)
    const outcome = await this.#deliver(order, load)
    transport?.record(outcome, admission.probe)
    if (outcome.code === 'AUTH_FAILED' && transport?.stale === false) transport.stale = true
    this.#release(slot, lease, outcome)
    ended?.()
    delete outcome.endedAt
    outcome.timings.queue = Math.max(0, start - state.dueAt)
    return load.complete(outcome, (loaded) => this.#outcomes.settle(loaded, outcome, start, order.transport))
  }

  #heldForPause(message: QueuedMessage): Settlement {
    return held(message, 'paused', this.#clock.now() + PAUSE_RECHECK)
  }

  /** @param outcome undefined if nothing was tried */
  #release(slot: number, lease: BudgetLease | undefined, outcome: Outcome | undefined): void {
    lease?.release(outcome)
    this.#runner.slots.release(slot)
    this.#admission.advance()
  }

  /** Milliseconds until mail may go out again, plus a random share, so that not all of it comes at once. */
  #setupDelay(): number {
    return this.#runner.releaseIn * (1 + Math.random() / 4)
  }

  recover(
    message: QueuedMessage,
    evidence: Evidence | 'restored' | undefined,
    crashes: number,
  ): Settlement | undefined {
    const outcome = outcomeAfterLoss(openRecipients(message.state), evidence, crashes, this.#safeMode)
    return outcome && this.#outcomes.settle(message, outcome, this.#clock.now())
  }

  cancel(id: string): boolean {
    const orders = this.#inFlight.filter(({ payload }) => payload.id === id)
    return orders.length === 0
      ? this.#filter.cancel(id) || this.#admission.cancel(id)
      : orders.some((order) => this.#runner.withdraw(order))
  }

  close(): void {
    this.#filter.close()
    this.#admission.close()
  }

  /** In safe mode, only allowed recipients get the message, no matter what it says. */
  async #deliver(original: DeliveryOrder, load: LoadStep): Promise<Outcome> {
    const safe = this.#safeMode
    const order = safe?.guard(original) ?? original
    this.#inFlight.add(order)
    const accept = load.acceptor(original, order, safe)
    const outcome = await deliverUntilSettled(this.#runner, order, this.#logger, accept)
    this.#inFlight.remove(order)
    return safe?.translate(outcome, openRecipients(load.message.state)) ?? outcome
  }
}
