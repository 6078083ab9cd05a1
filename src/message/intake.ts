import type { Clock } from '../clock.js'
import { captureContext } from '../context.js'
import { ThreadpostError } from '../errors.js'
import type { JsonObject } from '../protocol/tasks.js'
import type { EnqueueResult, QueueDriver } from '../queue/driver.js'
import type { Tracing } from '../telemetry/tracing.js'
import { mayBeStale, type TemplateCatalog } from '../templates/templateCatalog.js'
import { isPlainObject } from '../validation.js'
import type { Mail, PreparedMail, Receipt } from './mail.js'
import type { MailJob } from './messageState.js'
import { fromPrepared, toPrepared } from './prepare.js'
import { isPrepared, type ValidationContext, toJob } from './toJob.js'

/** What an interceptor answers to refuse a mail. */
export interface Refusal {
  /** Why, for whoever sent it. */
  refuse: string
}

/**
 * Looks at each mail before it is checked and queued: returns another in its place, nothing to let it pass as it is, or
 * a refusal. It must not change the mail it is given. What it throws goes to the caller of `send()`.
 */
export type Interceptor = (mail: Mail) => Mail | Refusal | undefined | Promise<Mail | Refusal | undefined>

/** A mail as it goes on, and as its caller gave it, where that is not the same. */
interface Intercepted {
  mail: Mail | PreparedMail
  given?: Record<string, unknown>
}

/** @throws ThreadpostError `REFUSED`, and what the interceptor throws */
async function intercepted(interceptor: Interceptor, mail: Mail | PreparedMail): Promise<Intercepted> {
  const inner: unknown = isPrepared(mail) ? mail['mail'] : mail
  // What is no mail at all is refused better where it is checked.
  if (!isPlainObject(inner)) return { mail }
  const answer = await interceptor({ ...inner })
  if (answer === undefined) return { mail }
  if ('refuse' in answer) throw new ThreadpostError('REFUSED', `The mail was refused: ${answer.refuse}`)
  return {
    mail: isPrepared(mail) ? ({ ...mail, mail: answer } as unknown as PreparedMail) : answer,
    given: inner,
  }
}

export interface IntakeParts {
  clock: Clock
  rules: ValidationContext
  templates: TemplateCatalog
  queue: QueueDriver
  tracing: Tracing
}

/** The way in: a caller's mail is intercepted, checked, made safe, and queued. */
export class Intake {
  readonly #parts: IntakeParts

  constructor(parts: IntakeParts) {
    this.#parts = parts
  }

  async take(mail: Mail | PreparedMail): Promise<Receipt> {
    const { rules, templates } = this.#parts
    const { intercept } = rules.options
    const ready = intercept === undefined ? { mail } : await intercepted(intercept, mail)
    const checked = templates.upToDate(() => this.#toJob(ready))
    const job = checked instanceof Promise ? await checked : checked
    const [answer] = await this.#enqueue([job])
    const receipt = this.#receipt(job, answer)
    if (receipt instanceof ThreadpostError) throw receipt
    return receipt
  }

  async takeAll(mails: readonly (Mail | PreparedMail)[]): Promise<(Receipt | ThreadpostError)[]> {
    const ready = await this.#interceptedAll(mails)
    const check = () => ready.map((mail) => orError(() => this.#toJob(mail)))
    let jobs = check()
    if (jobs.some(mayBeStale) && (await this.#parts.templates.refresh())) jobs = check()
    const accepted = jobs.filter((job): job is MailJob => !(job instanceof ThreadpostError))
    const answers = (await this.#enqueue(accepted)).values()
    return jobs.map((job) =>
      job instanceof ThreadpostError ? job : this.#receipt(job, answers.next().value),
    )
  }

  prepare(mail: Mail): PreparedMail {
    return toPrepared(mail as unknown as Record<string, unknown>, this.#toJob({ mail }))
  }

  /** What goes with a mail that is sent, or rendered, just now. */
  context(): JsonObject | undefined {
    return captureContext(this.#parts.rules.options.context)
  }

  async #interceptedAll(mails: readonly (Mail | PreparedMail)[]): Promise<(Intercepted | ThreadpostError)[]> {
    const { intercept } = this.#parts.rules.options
    if (intercept === undefined) return mails.map((mail) => ({ mail }))
    const ready: (Intercepted | ThreadpostError)[] = []
    for (const mail of mails)
      ready.push(
        await intercepted(intercept, mail).catch((error: unknown) => {
          if (error instanceof ThreadpostError) return error
          throw error
        }),
      )
    return ready
  }

  #enqueue(jobs: readonly MailJob[]): Promise<EnqueueResult[]> {
    const ended = this.#parts.tracing.sending(jobs)
    const enqueued = this.#parts.queue.enqueue(jobs)
    if (ended === undefined) return enqueued
    return enqueued.then((answers) => {
      ended(answers)
      return answers
    })
  }

  #toJob(intake: Intercepted | ThreadpostError): MailJob {
    if (intake instanceof ThreadpostError) throw intake
    const { mail, given } = intake
    const { rules, clock } = this.#parts
    const now = clock.now()
    if (!isPrepared(mail)) return this.#safe(toJob(mail, rules, now, { context: this.context(), given }))
    const prepared = fromPrepared(mail)
    const { identity, context = this.context() } = prepared.origin
    return this.#safe(toJob(prepared.mail, rules, now, { identity, context, given }))
  }

  #safe(job: MailJob): MailJob {
    return this.#parts.rules.options.safeMode?.redirect(job) ?? job
  }

  #receipt(job: MailJob, answer: EnqueueResult | undefined): Receipt | ThreadpostError {
    const { queue, rules } = this.#parts
    const { durable } = queue
    switch (answer?.result) {
      case 'queued':
        return { id: job.id, messageId: job.messageId, status: 'queued', durable, duplicate: false }
      case 'duplicate':
        return { id: answer.id, messageId: answer.messageId, status: 'queued', durable, duplicate: true }
      case 'conflict':
        return new ThreadpostError(
          'IDEMPOTENCY_CONFLICT',
          job.idempotencyKey === undefined
            ? 'id: belongs to another mail; prepare() gives a new mail a new one'
            : 'idempotencyKey: was used before with another mail; use a new key for a new mail',
          { path: job.idempotencyKey === undefined ? 'id' : 'idempotencyKey' },
        )
      case 'full':
        return new ThreadpostError(
          'QUEUE_FULL',
          `The queue is full: ${rules.options.limits.queue} messages wait (limits.queue). Try again later`,
        )
      case 'unavailable':
        return new ThreadpostError('QUEUE_UNAVAILABLE', answer.problem)
      case undefined:
        throw new Error('the queue left a job without an answer')
    }
  }
}

/** A refusal as a value; anything else is a bug and goes on. */
function orError<T>(work: () => T): T | ThreadpostError {
  try {
    return work()
  } catch (error) {
    if (error instanceof ThreadpostError) return error
    throw error
  }
}
