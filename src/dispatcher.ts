import { type Allowances, RateAllowance } from './budgets.js'
import type { BreakerOptions, TransportStatus } from './breaker.js'
import type { Clock } from './clock.js'
import { Crowd } from './crowd.js'
import type { Logger } from './logger.js'
import { MAX_CRASHES, outcomeAfterProcessDeath, outcomeAfterThreadDeath, poison } from './lost.js'
import { isUnreachable, type Outcome } from './outcome.js'
import type { Evidence } from './phases.js'
import type { Consumer, QueuedMessage } from './queue/driver.js'
import type { SafeMode } from './safeMode.js'
import type { Steps } from './steps.js'
import {
  type Attempt,
  type MailJob,
  mergeRecipients,
  openRecipients,
  type RecipientState,
  type Settlement,
} from './record.js'
import { countsAsAttempt, decide, type RetryPolicy, type Verdict } from './retry.js'
import type { Route, RouteListener, RouteOptions } from './route.js'
import { Routes } from './routes.js'
import type { DeliveryOrder, Runner } from './runner.js'
import { Turnstile } from './turnstile.js'
import type { Letter } from './wire.js'

export interface DispatcherOptions {
  clock: Clock
  routes: readonly RouteOptions[]
  policy: RetryPolicy
  breaker: Required<BreakerOptions>
  listener: RouteListener
  logger: Logger
  steps: Steps
  safeMode: SafeMode | undefined
  /** The version there is here of a template. */
  versionOf?: (template: string) => string | undefined
  /** How rates are kept. @default each by itself, in this process */
  allowances?: Allowances
}

/**
 * Takes messages from the queue to the threads and brings back what is to be done with them. A thread that dies is
 * no outcome: the message goes again at once, as long as it certainly was not sent.
 */
export class Dispatcher implements Consumer {
  readonly #runner: Runner
  readonly #clock: Clock
  readonly #policy: RetryPolicy
  readonly #logger: Logger
  readonly #steps: Steps
  readonly #safeMode: SafeMode | undefined
  readonly #versionOf: DispatcherOptions['versionOf']
  /** Versions that mails were meant for and there are not here, as far as they were told of. */
  readonly #otherVersions = new Set<string>()
  readonly #routes: Routes
  /** Deliveries under way. */
  readonly #underWay = new Crowd<DeliveryOrder>()
  readonly #turnstile = new Turnstile(() => 1 - this.#running / this.#runner.slots)
  #running = 0

  constructor(
    runner: Runner,
    {
      clock,
      routes,
      policy,
      breaker,
      listener,
      logger,
      steps,
      safeMode,
      versionOf,
      allowances = byItself,
    }: DispatcherOptions,
  ) {
    this.#runner = runner
    this.#clock = clock
    this.#policy = policy
    this.#logger = logger
    this.#steps = steps
    this.#safeMode = safeMode
    this.#versionOf = versionOf
    this.#routes = new Routes(routes, breaker, listener, allowances, clock)
  }

  /** Who waits for a transport's budget needs no slot. */
  get slots(): number {
    return this.#runner.slots + this.#turnstile.waiting
  }

  deliver(message: QueuedMessage): Promise<Settlement> {
    const route = this.#routes.for(message.job.transport)
    return route?.limited === true
      ? this.#deliverInTurn(route, message)
      : this.#deliverNow(route, message, undefined)
  }

  async #deliverInTurn(route: Route, message: QueuedMessage): Promise<Settlement> {
    const { job, state } = message
    const turn = await this.#turnstile.enter(route, job.id, job.priority, domainsOf(state))
    if (turn.go)
      return this.#deliverNow(
        route,
        message,
        (outcome) => {
          turn.leave.giveBack(outcome)
          this.#turnstile.advance()
        },
        turn.leave.notBefore,
      )
    return { verdict: held('budget', this.#clock.now() + turn.again), recipients: state.recipients }
  }

  async #deliverNow(
    route: Route | undefined,
    message: QueuedMessage,
    giveBack: ((outcome: Outcome | undefined) => void) | undefined,
    notBefore?: number,
  ): Promise<Settlement> {
    const { job, state, note } = message
    const start = this.#clock.now()
    const admission = route?.begin(start) ?? { result: 'pass', probe: false }
    if (admission.result === 'hold') {
      giveBack?.(undefined)
      return {
        verdict: held('breaker', start + this.#routes.delay(job.transport)),
        recipients: state.recipients,
      }
    }
    const order: DeliveryOrder = {
      letter: letterOf(job),
      recipients: openRecipients(state),
      transport: route?.name ?? job.transport,
      expiresAt: state.expiresAt,
      attempt: state.attempts.length + 1,
      place: -1,
      claim: undefined,
    }
    if (note !== undefined) order.note = note
    if (notBefore !== undefined) order.notBefore = notBefore
    this.#running++
    const outcome = await this.#deliver(order)
    this.#running--
    route?.record(outcome, admission.probe)
    giveBack?.(outcome)
    delete outcome.endedAt
    if (this.#turnstile.waiting > 0) this.#turnstile.advance()
    outcome.timings.queue = Math.max(0, start - state.dueAt)
    return this.#settlement(message, outcome, start, order.transport)
  }

  lost(message: QueuedMessage, evidence: Evidence | undefined, losses: number): Settlement | undefined {
    const open = openRecipients(message.state)
    const safe = this.#safeMode
    const outcome = outcomeAfterProcessDeath(evidence, safe?.envelope(open) ?? open, losses)
    if (outcome === undefined) return undefined
    return this.#settlement(message, safe?.translate(outcome, open) ?? outcome, this.#clock.now())
  }

  cancel(id: string): boolean {
    const orders = this.#underWay.filter(({ letter }) => letter.id === id)
    return orders.length === 0
      ? this.#turnstile.cancel(id)
      : orders.some((order) => this.#runner.withdraw(order))
  }

  #settlement(
    message: QueuedMessage,
    outcome: Outcome,
    start: number,
    transport = message.job.transport,
  ): Settlement {
    const { job, state } = message
    const counted = countsAsAttempt(outcome)
    const end = this.#clock.now()
    const recipients = mergeRecipients(state.recipients, outcome)
    const verdict = isUnreachable(outcome)
      ? held('breaker', end + this.#routes.delay(job.transport))
      : this.#decide({ job, state }, outcome, recipients, end)
    this.#noteVersion(job, outcome)
    const attempt: Attempt = { start, end, thread: outcome.thread, transport, counted, outcome }
    this.#steps.attempted(message, attempt, verdict)
    return { attempt, verdict, recipients }
  }

  /** Mail goes out by the template there is here; that it was meant for another version is said once for each. */
  #noteVersion({ id, content, templateVersion: meant }: MailJob, { result }: Outcome): void {
    if (meant === undefined || content.kind !== 'template' || result === 'withdrawn') return
    const here = this.#versionOf?.(content.name)
    if (here === undefined || here === meant || this.#otherVersions.has(meant)) return
    this.#otherVersions.add(meant)
    this.#logger.warn(
      { id, template: content.name, meant, here },
      'A mail was rendered with another version of its template than its sender knew',
    )
  }

  /** The transport is another now: its messages need not wait for it to be tried. */
  renewed(options: RouteOptions): void {
    const route = this.#routes.get(options.name)
    route?.breaker.reset()
    route?.reload(options)
    this.#turnstile.advance()
  }

  transports(): TransportStatus[] {
    return this.#routes.all().map(({ status }) => status)
  }

  /** Who waits for a budget goes back to the queue. */
  close(): void {
    this.#turnstile.close()
  }

  #decide(
    { job, state }: QueuedMessage,
    outcome: Outcome,
    recipients: RecipientState[],
    now: number,
  ): Verdict {
    const standing = {
      policy: this.#policy,
      onUncertain: job.onUncertain,
      counted: state.counted + (countsAsAttempt(outcome) ? 1 : 0),
      tries: state.counted + 1,
      sent: 0,
      failed: 0,
      open: 0,
    }
    for (const { status } of recipients) {
      if (status === 'sent') standing.sent++
      else if (status === 'failed') standing.failed++
      else standing.open++
    }
    return decide(outcome, standing, now, Math.random())
  }

  /** Whatever the message says: in safe mode nothing leaves for anybody who is not allowed. */
  #deliver(order: DeliveryOrder): Promise<Outcome> {
    const safe = this.#safeMode
    if (safe === undefined) return this.#attempt(order)
    return this.#attempt(safe.guard(order)).then((outcome) => safe.translate(outcome, order.recipients))
  }

  async #attempt(order: DeliveryOrder): Promise<Outcome> {
    this.#underWay.add(order)
    try {
      let alone = false
      for (let crashes = 0; crashes < MAX_CRASHES;) {
        const run = await this.#runner.deliver(order, alone)
        if (!run.died) return run.outcome
        const known = outcomeAfterThreadDeath(run.evidence, order.recipients)
        if (known !== undefined) return known
        if (run.blame === 'closed') return { ...RELEASED, timings: {} }
        if (run.blame === 'guilty') crashes++
        alone ||= run.blame !== 'innocent'
      }
      return poison(`${MAX_CRASHES} threads ended while they worked on this message alone.`, 'rendering')
    } catch (error) {
      return defect(error)
    } finally {
      this.#underWay.remove(order)
    }
  }
}

const byItself: Allowances = (_, rate) => new RateAllowance(rate)

function held(reason: 'breaker' | 'budget', until: number): Verdict {
  return { status: 'held', reason, nextAttemptAt: Math.ceil(until) }
}

function domainsOf(state: QueuedMessage['state']): string[] {
  const domains = openRecipients(state).map((address) =>
    address.slice(address.lastIndexOf('@') + 1).toLowerCase(),
  )
  return [...new Set(domains)]
}

const RELEASED: Outcome = {
  result: 'deferred',
  code: 'RELEASED',
  message: 'The mailer was closed before the message was sent.',
  phase: 'waiting',
  recipients: [],
  timings: {},
  thread: 0,
}

/** The message never reached a thread, for a reason that is ours. */
function defect(error: unknown): Outcome {
  return {
    result: 'deferred',
    code: 'INTERNAL_ERROR',
    message: `An internal error: ${error instanceof Error ? error.message : String(error)}`,
    phase: 'waiting',
    recipients: [],
    timings: {},
    thread: 0,
  }
}

/** What a thread needs of a job, and nothing else: each field is copied to it. */
function letterOf(job: MailJob): Letter {
  const letter: Letter = {
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
  if (job.context !== undefined) letter.context = job.context
  if (job.subject !== undefined) letter.subject = job.subject
  if (job.inReplyTo !== undefined) letter.inReplyTo = job.inReplyTo
  if (job.listUnsubscribe !== undefined) letter.listUnsubscribe = job.listUnsubscribe
  return letter
}
