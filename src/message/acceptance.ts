import type { Clock } from '../clock.js'
import { captureContext } from '../context.js'
import { ThreadpostError } from '../errors.js'
import { bounceAddress, idInBounceAddress } from '../feedback/bounceAddress.js'
import { parseJson } from '../protocol/parseJson.js'
import type { JsonObject } from '../protocol/tasks.js'
import type { Admit, EnqueueResult, QueueDriver, Transaction } from '../queue/driver.js'
import { GenerationalCache } from '../structures/generationalCache.js'
import type { SuppressionLookup } from '../suppressions/suppressionLookup.js'
import type { FigureCollector } from '../telemetry/figures.js'
import type { Tracing } from '../telemetry/tracing.js'
import type { MessageLookup } from '../telemetry/waiters.js'
import { mayBeStale, type TemplateCatalog } from '../templates/templateCatalog.js'
import { isPlainObject, Validator } from '../validation.js'
import { readAttachments, readsAttachments } from './attachmentFiles.js'
import type { InternalKey } from './ids.js'
import type { Mail, PreparedMail, Receipt } from './mail.js'
import type { MailJob } from './messageState.js'
import { fromPrepared, toPrepared } from './prepare.js'
import { type ResendChanges, toResend } from './resend.js'
import { signedUnsubscribe } from './signedUnsubscribe.js'
import { isPrepared, type ValidationContext, toJob } from './toJob.js'
import { refusedWith, type SendOptions, transactionOf } from './transactions.js'

const check: Validator = new Validator('INVALID_MESSAGE')

/** Returned by an interceptor to refuse a mail. */
export interface Refusal {
  /** The reason, for the caller of `send()`. */
  refuse: string
}

/**
 * Called with each mail before it is validated and queued. Returns a replacement, `undefined` to leave the mail unchanged, or a
 * refusal. It must not modify the mail. If it throws, `send()` rejects with that error.
 */
export type Interceptor = (mail: Mail) => Mail | Refusal | undefined | Promise<Mail | Refusal | undefined>

/** A mail after interception, and the original if it was replaced. */
interface Intercepted {
  mail: Mail | PreparedMail
  original?: Record<string, unknown>
}

/** @throws ThreadpostError `REFUSED`, and what the interceptor throws */
async function intercepted(interceptor: Interceptor, mail: Mail | PreparedMail): Promise<Intercepted> {
  const inner: unknown = isPrepared(mail) ? mail['mail'] : mail
  // Validation reports a value that isn't a mail better.
  if (!isPlainObject(inner)) return { mail }
  const result = await interceptor({ ...inner } as unknown as Mail)
  if (result === undefined) return { mail }
  if ('refuse' in result) throw new ThreadpostError('REFUSED', `The mail was refused: ${result.refuse}`)
  return {
    mail: isPrepared(mail) ? ({ ...mail, mail: result } as unknown as PreparedMail) : result,
    original: inner,
  }
}

const MAYBE_ACCEPTED =
  'It is unknown whether the mail was accepted: to send it once, use the same idempotencyKey again, or look for its id with find()'

/** The receipt of a mail, or the error with which it was refused. */
export type SendResult = Receipt | ThreadpostError

/** Ids of uncommitted messages that are remembered, so that `wait()` can wait for their transaction. */
const MAX_UNCOMMITTED = 10_000

export interface AcceptanceDependencies {
  clock: Clock
  validation: ValidationContext
  templates: TemplateCatalog
  queue: QueueDriver
  tracing: Tracing
  figures: FigureCollector
  suppressions: SuppressionLookup
}

/** Accepts mail: intercepts it, validates it, applies safe mode, and queues it. */
export class Acceptance {
  readonly #parts: AcceptanceDependencies
  readonly #uncommitted = new GenerationalCache<string, true>(MAX_UNCOMMITTED)

  constructor(parts: AcceptanceDependencies) {
    this.#parts = parts
  }

  /** @param key an idempotency key that no caller can choose, in place of the mail's; with it, the first mail counts */
  async take(mail: Mail | PreparedMail, options: SendOptions = {}, key?: InternalKey): Promise<Receipt> {
    const tx = transactionOf(options, this.#parts.queue)
    const { validation, templates } = this.#parts
    const plain = validation.options.intercept === undefined && !readsAttachments(mail)
    const ready = plain ? { mail } : await this.#readied(mail)
    const checked = templates.retryWhenStale(() => this.#toJob(ready))
    const job = checked instanceof Promise ? await checked : checked
    if (key !== undefined) Object.assign(job, { idempotencyKey: key, fingerprint: key })
    const [answer] = await this.#enqueue([job], tx)
    const receipt = this.#receipt(job, answer)
    if (receipt instanceof ThreadpostError) throw receipt
    return receipt
  }

  /** Sends the mail of a settled message again, as a new message. */
  async takeAgain(id: string, changes: ResendChanges): Promise<Receipt> {
    const { queue, clock, validation } = this.#parts
    const [message, job] = await Promise.all([queue.find(id), queue.load(id)])
    const again = toResend(id, message, job, changes, clock.now(), validation.options.maxAge)
    const { bounces } = validation.options
    if (bounces !== undefined && idInBounceAddress(bounces, again.envelopeFrom) === id)
      again.envelopeFrom = bounceAddress(bounces, again.id)
    // The link of the original is for its recipient.
    if (again.listUnsubscribe?.signed === true)
      again.listUnsubscribe = signedUnsubscribe(again, validation.options.unsubscribe)
    const ready = this.#safe(again)
    const [answer] = await this.#enqueue([ready])
    const receipt = this.#receipt(ready, answer)
    if (receipt instanceof ThreadpostError) throw receipt
    return receipt
  }

  async takeAll(mails: readonly (Mail | PreparedMail)[], options: SendOptions = {}): Promise<SendResult[]> {
    check.array(mails, '', Infinity)
    const tx = transactionOf(options, this.#parts.queue)
    const ready = await this.#interceptedAll(mails)
    const convert = () => ready.map((mail) => orError(() => this.#toJob(mail)))
    let jobs = convert()
    if (jobs.some(mayBeStale) && (await this.#parts.templates.refresh())) jobs = convert()
    const accepted = jobs.filter((job): job is MailJob => !(job instanceof ThreadpostError))
    const answers = (await this.#enqueue(accepted, tx)).values()
    return jobs.map((job) =>
      job instanceof ThreadpostError ? job : this.#receipt(job, answers.next().value),
    )
  }

  /** Checks a mail that was submitted past `send()`. Files are not read for it. */
  readonly admit: Admit = async ({ id, acceptedAt, mail }) => {
    try {
      const { validation, templates, figures, suppressions } = this.#parts
      const given = parseJson(mail) as Mail
      const { intercept } = validation.options
      const { mail: input, original } =
        intercept === undefined ? { mail: given } : await intercepted(intercept, given)
      const job = await templates.retryWhenStale(() =>
        toJob(input, validation, acceptedAt, { identity: { id, date: acceptedAt }, original }),
      )
      figures.accepted()
      const safe = this.#safe(job)
      if (!suppressions.empty) await suppressions.markAll([safe])
      return { job: safe }
    } catch (error) {
      if (!(error instanceof ThreadpostError)) throw error
      return { refused: refusedWith(error) }
    }
  }

  prepare(mail: Mail): PreparedMail {
    return toPrepared(mail as unknown as Record<string, unknown>, this.#toJob({ mail }))
  }

  /** How `wait()` looks a message up: one that was sent in a transaction may appear later, with the commit. */
  lookup(id: string, find: MessageLookup['find']): MessageLookup {
    return { find, mayAppear: this.#uncommitted.has(id) }
  }

  /** The context of a mail that is sent or rendered now. */
  context(): JsonObject | undefined {
    return captureContext(this.#parts.validation.options.context)
  }

  async #interceptedAll(mails: readonly (Mail | PreparedMail)[]): Promise<(Intercepted | ThreadpostError)[]> {
    const { intercept } = this.#parts.validation.options
    if (intercept === undefined && !mails.some(readsAttachments)) return mails.map((mail) => ({ mail }))
    const ready: (Intercepted | ThreadpostError)[] = []
    for (const mail of mails)
      ready.push(
        await this.#readied(mail).catch((error: unknown) => {
          if (error instanceof ThreadpostError) return error
          throw error
        }),
      )
    return ready
  }

  async #readied(mail: Mail | PreparedMail): Promise<Intercepted> {
    const { intercept } = this.#parts.validation.options
    const ready = intercept === undefined ? { mail } : await intercepted(intercept, mail)
    return readsAttachments(ready.mail) ? this.#withAttachments(ready, ready.mail) : ready
  }

  /** Reads files and streams before validation: from there on, a mail is plain data. */
  async #withAttachments({ original }: Intercepted, mail: Record<string, unknown>): Promise<Intercepted> {
    const read = (await readAttachments(mail, this.#parts.validation.options, check)) as unknown as Mail
    return original === undefined ? { mail: read } : { mail: read, original }
  }

  #enqueue(jobs: readonly MailJob[], tx?: Transaction): Promise<EnqueueResult[]> {
    const { suppressions } = this.#parts
    return suppressions.empty
      ? this.#store(jobs, tx)
      : suppressions.markAll(jobs).then(() => this.#store(jobs, tx))
  }

  #store(jobs: readonly MailJob[], tx: Transaction | undefined): Promise<EnqueueResult[]> {
    const ended = this.#parts.tracing.sending(jobs)
    const enqueued = tx === undefined ? this.#parts.queue.enqueue(jobs) : this.#enqueueIn(tx, jobs)
    if (ended === undefined) return enqueued
    return enqueued.then((answers) => {
      ended(answers)
      return answers
    })
  }

  async #enqueueIn(tx: Transaction, jobs: readonly MailJob[]): Promise<EnqueueResult[]> {
    for (const { id } of jobs) this.#uncommitted.add(id, true)
    return (await this.#parts.queue.enqueueIn?.(tx, jobs)) ?? []
  }

  #toJob(acceptance: Intercepted | ThreadpostError): MailJob {
    if (acceptance instanceof ThreadpostError) throw acceptance
    const { mail, original } = acceptance
    const { validation, clock } = this.#parts
    const now = clock.now()
    if (!isPrepared(mail))
      return this.#safe(toJob(mail, validation, now, { context: this.context(), original }))
    const prepared = fromPrepared(mail)
    const { identity, context = this.context() } = prepared.origin
    return this.#safe(toJob(prepared.mail, validation, now, { identity, context, original }))
  }

  #safe(job: MailJob): MailJob {
    return this.#parts.validation.options.safeMode?.redirect(job) ?? job
  }

  #receipt(job: MailJob, answer: EnqueueResult | undefined): Receipt | ThreadpostError {
    const { queue, validation, figures } = this.#parts
    const { durable } = queue
    switch (answer?.result) {
      case 'queued':
        figures.accepted()
        return { id: job.id, messageId: job.messageId, status: 'queued', durable, duplicate: false }
      case 'duplicate':
        return { id: answer.id, messageId: answer.messageId, status: 'queued', durable, duplicate: true }
      case 'conflict':
        return new ThreadpostError(
          'IDEMPOTENCY_CONFLICT',
          job.idempotencyKey === undefined
            ? 'id: belongs to a different mail; call prepare() again to get a new id'
            : 'idempotencyKey: was already used for a different mail; use a new key for a new mail',
          { path: job.idempotencyKey === undefined ? 'id' : 'idempotencyKey' },
        )
      case 'full':
        return new ThreadpostError(
          'QUEUE_FULL',
          `The queue is full: it holds ${validation.options.limits.queue} messages (limits.queue). Try again later`,
        )
      case 'unavailable':
        return answer.accepted === undefined
          ? new ThreadpostError('QUEUE_UNAVAILABLE', answer.problem)
          : new ThreadpostError('QUEUE_UNAVAILABLE', `${answer.problem}. ${MAYBE_ACCEPTED}`, {
              accepted: answer.accepted,
              id: job.id,
            })
      case undefined:
        throw new Error('the queue returned no result for a job')
    }
  }
}

/** Returns a ThreadpostError as a value. Any other error is a bug and is thrown. */
function orError<T>(work: () => T): T | ThreadpostError {
  try {
    return work()
  } catch (error) {
    if (error instanceof ThreadpostError) return error
    throw error
  }
}
