import type { Clock } from '../clock.js'
import { type MailJob, openRecipients, type Settlement } from '../message/messageState.js'
import type { SafeMode } from '../message/safeMode.js'
import type { Evidence } from '../protocol/evidence.js'
import type { Outcome } from '../protocol/outcome.js'
import type { MessagePayload } from '../protocol/tasks.js'
import type { Consumer, QueuedMessage, QueueDriver } from '../queue/driver.js'
import { IndexedBag } from '../structures/indexedBag.js'
import type { DeliveryOrder, Runner } from '../threads/runner.js'
import { AdmissionQueue } from '../transports/admissionQueue.js'
import type { BreakerOptions, TransportStatus } from '../transports/breaker.js'
import { type Allowances, RateAllowance } from '../transports/budgets.js'
import { TransportRouter } from '../transports/transportRouter.js'
import type {
  BudgetLease,
  TransportListener,
  TransportState,
  TransportStateOptions,
} from '../transports/transportState.js'
import { deliverUntilSettled, outcomeAfterProcessDeath } from './crashRecovery.js'
import { holdUntil, OutcomeHandler, type OutcomeHandlerOptions } from './outcomeHandler.js'

/** What a thread needs of a job, and nothing else: each field is copied to it. */
function toPayload(job: MailJob): MessagePayload {
  const payload: MessagePayload = {
    id: job.id,
    messageId: job.messageId,
    date: job.date,
    from: job.from,
    to: job.to,
    cc: job.cc,
    bcc: job.bcc,
    replyTo: job.replyTo,
    envelopeFrom: job.envelopeFrom,
    content: job.content,
    headers: job.headers,
    references: job.references,
    attachments: job.attachments,
  }
  if (job.context !== undefined) payload.context = job.context
  if (job.subject !== undefined) payload.subject = job.subject
  if (job.inReplyTo !== undefined) payload.inReplyTo = job.inReplyTo
  if (job.listUnsubscribe !== undefined) payload.listUnsubscribe = job.listUnsubscribe
  return payload
}

export interface DispatcherOptions extends Omit<OutcomeHandlerOptions, 'router' | 'setupDelay'> {
  transports: readonly TransportStateOptions[]
  breaker: Required<BreakerOptions>
  listener: TransportListener
  safeMode: SafeMode | undefined
  /** How rates are kept. @default each by itself, in this process */
  allowances?: Allowances | undefined
  /** Makes messages due that the queue holds for a budget, as the queue's driver has it. */
  wakeHeld: QueueDriver['wakeHeld']
}

/** Takes messages from the queue to the threads, each when its transport has room for it, and brings back what became of them. */
export class Dispatcher implements Consumer {
  readonly #runner: Runner
  readonly #clock: Clock
  readonly #safeMode: SafeMode | undefined
  readonly #routes: TransportRouter
  readonly #settling: OutcomeHandler
  /** Deliveries under way. */
  readonly #underWay = new IndexedBag<DeliveryOrder>()
  readonly #turnstile: AdmissionQueue

  constructor(
    runner: Runner,
    {
      transports,
      breaker,
      listener,
      safeMode,
      allowances = byItself,
      wakeHeld,
      ...settling
    }: DispatcherOptions,
  ) {
    this.#runner = runner
    this.#clock = settling.clock
    this.#safeMode = safeMode
    this.#routes = new TransportRouter(transports, breaker, listener, allowances, this.#clock)
    this.#settling = new OutcomeHandler({
      ...settling,
      router: this.#routes,
      setupDelay: () => this.#setupDelay(),
    })
    this.#turnstile = new AdmissionQueue(runner.slots, (route, most) =>
      wakeHeld(this.#routes.namesFor(route), most),
    )
  }

  /** The queue hands out from now on: what it holds for a budget may have a place, whatever the last process had. */
  started(): void {
    for (const route of this.#routes.all()) this.#turnstile.recheck(route)
  }

  /** Who waits for a transport's budget needs no slot. */
  get slots(): number {
    return this.#runner.slots.capacity + this.#turnstile.waitingForBudget
  }

  /** A queue that hands out more than there are slots has the message wait for one. */
  deliver(message: QueuedMessage): Promise<Settlement> {
    if (this.#runner.outage !== undefined) {
      const until = this.#clock.now() + this.#setupDelay()
      return Promise.resolve({ decision: holdUntil('setup', until), recipients: message.state.recipients })
    }
    const route = this.#routes.for(message.job.transport)
    const forBudget = route?.limited === true
    const slot = forBudget ? undefined : this.#runner.slots.reserve()
    return slot === undefined
      ? this.#deliverInTurn(route, message, forBudget)
      : this.#deliverNow(route, message, slot, undefined)
  }

  #deliverInTurn(
    route: TransportState | undefined,
    message: QueuedMessage,
    forBudget: boolean,
  ): Promise<Settlement> {
    const { job, state } = message
    return new Promise((resolve) => {
      this.#turnstile.add(route, {
        id: job.id,
        priority: job.priority,
        domains: domainsOf(state),
        forBudget,
        start: (slot, leave) => resolve(this.#deliverNow(route, message, slot, leave)),
        postpone: (again) => {
          const decision = holdUntil('budget', this.#clock.now() + again)
          resolve({ decision, recipients: state.recipients })
        },
      })
    })
  }

  /** The slot is given back when the delivery has ended, and nowhere else. */
  async #deliverNow(
    route: TransportState | undefined,
    message: QueuedMessage,
    slot: number,
    leave: BudgetLease | undefined,
  ): Promise<Settlement> {
    const { job, state, note } = message
    const start = this.#clock.now()
    const admission = route?.begin(start) ?? { result: 'pass', probe: false }
    if (admission.result === 'hold') {
      // Whoever is let in by what is given back here is not let in amid those who are let in now.
      await Promise.resolve()
      this.#giveBack(slot, leave, undefined)
      return {
        decision: holdUntil('breaker', start + this.#routes.delay(job.transport)),
        recipients: state.recipients,
      }
    }
    const order: DeliveryOrder = {
      payload: toPayload(job),
      recipients: openRecipients(state),
      transport: route?.name ?? job.transport,
      expiresAt: state.expiresAt,
      attempt: state.attempts.length + 1,
      slot,
      place: -1,
      claim: undefined,
    }
    if (note !== undefined) order.note = note
    if (leave?.notBefore !== undefined) order.notBefore = leave.notBefore
    const outcome = await this.#deliver(order)
    route?.record(outcome, admission.probe)
    this.#giveBack(slot, leave, outcome)
    delete outcome.endedAt
    outcome.timings.queue = Math.max(0, start - state.dueAt)
    return this.#settling.settle(message, outcome, start, order.transport)
  }

  /** @param outcome undefined when nothing was tried */
  #giveBack(slot: number, leave: BudgetLease | undefined, outcome: Outcome | undefined): void {
    leave?.release(outcome)
    this.#runner.slots.release(slot)
    this.#turnstile.advance()
  }

  /** Until mail may go again, and a little longer, so that not all comes at once. */
  #setupDelay(): number {
    return this.#runner.releaseIn * (1 + Math.random() / 4)
  }

  lost(message: QueuedMessage, evidence: Evidence | undefined, losses: number): Settlement | undefined {
    const open = openRecipients(message.state)
    const safe = this.#safeMode
    const outcome = outcomeAfterProcessDeath(evidence, safe?.envelope(open) ?? open, losses)
    if (outcome === undefined) return undefined
    return this.#settling.settle(message, safe?.translate(outcome, open) ?? outcome, this.#clock.now())
  }

  cancel(id: string): boolean {
    const orders = this.#underWay.filter(({ payload }) => payload.id === id)
    return orders.length === 0
      ? this.#turnstile.cancel(id)
      : orders.some((order) => this.#runner.withdraw(order))
  }

  /** The transport is another now: its messages need not wait for it to be tried. */
  reloaded(options: TransportStateOptions): void {
    const route = this.#routes.get(options.name)
    if (route === undefined) return
    route.breaker.reset()
    route.reload(options)
    this.#turnstile.recheck(route)
  }

  transports(): TransportStatus[] {
    return this.#routes.all().map(({ status }) => status)
  }

  /** Who waits for a budget goes back to the queue. */
  close(): void {
    this.#turnstile.close()
  }

  /** Whatever the message says: in safe mode nothing leaves for anybody who is not allowed. */
  #deliver(order: DeliveryOrder): Promise<Outcome> {
    const safe = this.#safeMode
    if (safe === undefined) return this.#attempt(order)
    return this.#attempt(safe.guard(order)).then((outcome) => safe.translate(outcome, order.recipients))
  }

  async #attempt(order: DeliveryOrder): Promise<Outcome> {
    this.#underWay.add(order)
    const outcome = await deliverUntilSettled(this.#runner, order)
    this.#underWay.remove(order)
    return outcome
  }
}

const byItself: Allowances = (_, rate) => new RateAllowance(rate)

function domainsOf(state: QueuedMessage['state']): string[] {
  const domains = openRecipients(state).map((address) =>
    address.slice(address.lastIndexOf('@') + 1).toLowerCase(),
  )
  return [...new Set(domains)]
}
