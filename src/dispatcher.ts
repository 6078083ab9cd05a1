import { Breaker, type BreakerListener, type BreakerOptions, type TransportStatus } from './breaker.js'
import { MAX_CRASHES, outcomeAfterProcessDeath, outcomeAfterThreadDeath, poison } from './lost.js'
import { isUnreachable, type Outcome } from './outcome.js'
import type { Evidence } from './phases.js'
import type { Consumer, QueuedMessage } from './queue/driver.js'
import type { SafeMode } from './safeMode.js'
import type { Steps } from './steps.js'
import {
  type Attempt,
  isOpen,
  type MailJob,
  mergeRecipients,
  openRecipients,
  type RecipientState,
  type Settlement,
} from './record.js'
import { countsAsAttempt, decide, type RetryPolicy, type Verdict } from './retry.js'
import type { DeliveryOrder, RunResult, Runner } from './runner.js'
import type { Letter } from './wire.js'

export interface DispatcherOptions {
  /** Their names. */
  transports: readonly string[]
  policy: RetryPolicy
  breaker: Required<BreakerOptions>
  listener: BreakerListener
  steps: Steps
  safeMode: SafeMode | undefined
}

/**
 * Takes messages from the queue to the threads and brings back what is to be done with them. A thread that dies is
 * no outcome: the message goes again at once, as long as it certainly was not sent.
 */
export class Dispatcher implements Consumer {
  readonly #runner: Runner
  readonly #policy: RetryPolicy
  readonly #steps: Steps
  readonly #safeMode: SafeMode | undefined
  readonly #breakers: ReadonlyMap<string, Breaker>
  /** Deliveries under way, by the message's id. */
  readonly #underWay = new Map<string, DeliveryOrder>()

  constructor(runner: Runner, { transports, policy, breaker, listener, steps, safeMode }: DispatcherOptions) {
    this.#runner = runner
    this.#policy = policy
    this.#steps = steps
    this.#safeMode = safeMode
    this.#breakers = new Map(transports.map((name) => [name, new Breaker(name, breaker, listener)]))
  }

  get slots(): number {
    return this.#runner.slots
  }

  async deliver(message: QueuedMessage): Promise<Settlement> {
    const { job, state, note } = message
    const start = Date.now()
    const breaker = this.#breakers.get(job.transport)
    const admission = breaker?.admit() ?? { result: 'pass', probe: false }
    if (admission.result === 'hold')
      return { verdict: held(start + admission.delay), recipients: state.recipients }

    const order: DeliveryOrder = {
      letter: letterOf(job),
      recipients: openRecipients(state),
      transport: job.transport,
      expiresAt: state.expiresAt,
      attempt: state.attempts.length + 1,
    }
    if (note !== undefined) order.note = note
    const outcome = await this.#deliver(order)
    breaker?.record(outcome, admission.probe)
    outcome.timings.queue = Math.max(0, start - state.dueAt)
    return this.#settlement(message, outcome, start)
  }

  lost(message: QueuedMessage, evidence: Evidence | undefined, losses: number): Settlement | undefined {
    const open = openRecipients(message.state)
    const safe = this.#safeMode
    const outcome = outcomeAfterProcessDeath(evidence, safe?.envelope(open) ?? open, losses)
    if (outcome === undefined) return undefined
    return this.#settlement(message, safe?.translate(outcome, open) ?? outcome, Date.now())
  }

  cancel(id: string): boolean {
    const order = this.#underWay.get(id)
    return order !== undefined && this.#runner.withdraw(order)
  }

  #settlement(message: QueuedMessage, outcome: Outcome, start: number): Settlement {
    const { job, state } = message
    const counted = countsAsAttempt(outcome)
    const end = Date.now()
    const recipients = mergeRecipients(state.recipients, outcome)
    const breaker = this.#breakers.get(job.transport)
    const verdict =
      breaker !== undefined && isUnreachable(outcome)
        ? held(end + breaker.delay())
        : this.#decide({ job, state }, outcome, recipients, end)
    const attempt: Attempt = { start, end, thread: outcome.thread, counted, outcome }
    this.#steps.attempted(message, attempt, verdict)
    return { attempt, verdict, recipients }
  }

  /** The transport is another now: its messages need not wait for it to be tried. */
  renewed(transport: string): void {
    this.#breakers.get(transport)?.reset()
  }

  transports(): TransportStatus[] {
    return [...this.#breakers.values()].map(({ status }) => status)
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
      sent: recipients.filter(({ status }) => status === 'sent').length,
      failed: recipients.filter(({ status }) => status === 'failed').length,
      open: recipients.filter(isOpen).length,
    }
    return decide(outcome, standing, now, Math.random())
  }

  /** Whatever the message says: in safe mode nothing leaves for anybody who is not allowed. */
  async #deliver(order: DeliveryOrder): Promise<Outcome> {
    const safe = this.#safeMode
    if (safe === undefined) return this.#attempt(order)
    return safe.translate(await this.#attempt(safe.guard(order)), order.recipients)
  }

  async #attempt(order: DeliveryOrder): Promise<Outcome> {
    this.#underWay.set(order.letter.id, order)
    try {
      return await this.#run(order)
    } finally {
      if (this.#underWay.get(order.letter.id) === order) this.#underWay.delete(order.letter.id)
    }
  }

  async #run(order: DeliveryOrder): Promise<Outcome> {
    let alone = false
    for (let crashes = 0; crashes < MAX_CRASHES;) {
      let run: RunResult
      try {
        run = await this.#runner.deliver(order, alone)
      } catch (error) {
        return defect(error)
      }
      if (!run.died) return run.outcome
      const known = outcomeAfterThreadDeath(run.evidence, order.recipients)
      if (known !== undefined) return known
      if (run.blame === 'closed') return { ...RELEASED, timings: {} }
      if (run.blame === 'guilty') crashes++
      alone ||= run.blame !== 'innocent'
    }
    return poison(`${MAX_CRASHES} threads ended while they worked on this message alone.`, 'rendering')
  }
}

function held(until: number): Verdict {
  return { status: 'held', reason: 'breaker', nextAttemptAt: Math.ceil(until) }
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
