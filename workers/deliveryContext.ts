import { INTERNAL_ERROR_LOGGED, INTERNAL_ERROR_MESSAGE } from '../src/protocol/internalError.js'
import type { Outcome, Phase, RecipientOutcome, Timings, WithdrawnCode } from '../src/protocol/outcome.js'
import type { PhaseBoard } from '../src/protocol/phaseBoard.js'
import type { ComposeTask, DeliverTask, RenderTask } from '../src/protocol/tasks.js'
import type { JournalEntry } from './deliveryJournal.js'
import type { LoadFailure } from './loading/loadFailure.js'
import type { CriticalSection } from './render/renderer.js'
import type { TemplateFailure } from './render/template/sourceFile.js'
import type { ThreadLog } from './threadLog.js'
import type { SendResult, SentOctets } from './transports/transport.js'

/** The state of one task in its thread: its slot on the phase board, its journal entry, its timings, and its outcome. */
export class DeliveryContext {
  readonly timings: Timings = {}
  /** The message as the transport sent it last, if it has. */
  octets: SentOctets | undefined
  #phase: Phase = 'waiting'
  /** The recipients' results after the last reply to a final dot: a message may take several transactions. */
  #reply: { code: number; results: RecipientOutcome['result'][] } = { code: 0, results: [] }

  constructor(
    private readonly board: PhaseBoard,
    private readonly task: DeliverTask | RenderTask | ComposeTask,
    private readonly thread: number,
    private readonly log: ThreadLog,
    private readonly journal?: JournalEntry,
  ) {
    board.occupy(task.slot, task.generation, thread)
  }

  enterPhase(phase: Phase): void {
    this.#phase = phase
    if (phase === 'body') this.journal?.body(this.#reply.code, this.#reply.results)
    this.board.enter(this.task.slot, this.task.generation, phase)
  }

  commit(): 'committed' | WithdrawnCode {
    const { slot, generation } = this.task
    const expiresAt = 'expiresAt' in this.task ? this.task.expiresAt : Infinity
    if (Date.now() >= expiresAt && this.board.withdraw(slot, generation)) return 'EXPIRED'
    return this.board.commit(slot, generation) ? 'committed' : 'CANCELLED'
  }

  release(): void {
    if (this.#phase === 'body') this.journal?.unsent()
    this.board.release(this.task.slot, this.task.generation)
  }

  replied(code: number, results: RecipientOutcome['result'][]): void {
    this.#phase = 'replied'
    this.#reply = { code, results }
    this.journal?.replied(code, results)
    this.board.reply(this.task.slot, this.task.generation, code, results)
  }

  sends(octets: SentOctets): void {
    this.octets = octets
  }

  addTiming(step: keyof Timings, ms: number): void {
    this.timings[step] = (this.timings[step] ?? 0) + ms
  }

  /** See {@link CriticalSection}: nothing asynchronous happens inside, so no two deliveries of a thread are ever in it. */
  readonly critical: CriticalSection = (step, work) => {
    const start = performance.now()
    if (step === 'compile') this.board.compiling(1)
    this.enterPhase('rendering')
    this.log.subject = this.task
    try {
      return work()
    } finally {
      this.log.subject = undefined
      this.enterPhase('waiting')
      if (step === 'compile') this.board.compiling(-1)
      this.addTiming(step, performance.now() - start)
    }
  }

  /** Builds the outcome of an attempt that reached a transport. */
  outcomeOf({ outcome: classified, message, recipients, reply }: SendResult): Outcome {
    const { timings, thread } = this
    const phase = this.#phase
    // The vast majority of outcomes; a spread would cost as much as encoding the header.
    const outcome: Outcome =
      classified.result === 'sent'
        ? { result: 'sent', code: 'OK', message, phase, recipients, timings, thread }
        : { ...classified, message, phase, recipients, timings, thread }
    if (reply !== undefined) outcome.reply = reply
    return outcome
  }

  rejected(code: 'INVALID_MESSAGE', message: string): Outcome {
    return { result: 'rejected', code, message, ...this.#facts() }
  }

  transportUnavailable(name: string): Outcome {
    const code = 'TRANSPORT_UNAVAILABLE'
    return {
      result: 'deferred',
      code,
      message: `There is no transport "${name}" in this thread`,
      ...this.#facts(),
    }
  }

  templateFailed({ code, message, details }: TemplateFailure): Extract<Outcome, { result: 'rejected' }> {
    return { result: 'rejected', code, message, ...details, ...this.#facts() }
  }

  skipped(reason: string): Outcome {
    return { result: 'withdrawn', code: 'SKIPPED', message: reason, ...this.#facts() }
  }

  /** The stack goes to the log only. */
  loadFailed(failure: LoadFailure): Outcome {
    const { cause, message, permanent } = failure
    this.log.subject = this.task
    const stack = cause instanceof Error ? (cause.stack ?? cause.message) : message
    this.log.write('warn', { stack }, 'The load function of a template failed')
    this.log.subject = undefined
    return permanent
      ? { result: 'rejected', code: 'LOAD_FAILED', message, ...this.#facts() }
      : { result: 'deferred', code: 'LOAD_FAILED', message, ...this.#facts() }
  }

  /**
   * The outcome of a defect. Before the body, nothing was sent for certain; after it, the message may have been sent.
   * The stack goes to the log only.
   */
  internalError(error: unknown): Outcome {
    this.#logError(error)
    const message = INTERNAL_ERROR_MESSAGE
    return this.#phase === 'body' || this.#phase === 'replied'
      ? { result: 'uncertain', code: 'INTERNAL_ERROR', message, ...this.#facts() }
      : { result: 'deferred', code: 'INTERNAL_ERROR', message, ...this.#facts() }
  }

  #logError(error: unknown): void {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.log.subject = this.task
    this.log.write('error', { stack }, INTERNAL_ERROR_LOGGED)
    this.log.subject = undefined
  }

  #facts() {
    return { phase: this.#phase, recipients: [], timings: this.timings, thread: this.thread }
  }
}
