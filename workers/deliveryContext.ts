import type { Outcome, Phase, Timings, WithdrawnCode } from '../src/protocol/outcome.js'
import type { PhaseBoard } from '../src/protocol/phaseBoard.js'
import type { ComposeTask, DeliverTask, RenderTask } from '../src/protocol/tasks.js'
import type { JournalEntry } from './deliveryJournal.js'
import type { CriticalSection } from './render/renderer.js'
import type { TemplateFailure } from './render/template/sourceFile.js'
import type { ThreadLog } from './threadLog.js'
import type { SendResult } from './transports/transport.js'

/** The trace of one task: its place on the board, its timings, and what is to be said of its end. */
export class DeliveryContext {
  readonly timings: Timings = {}
  #phase: Phase = 'waiting'

  constructor(
    private readonly board: PhaseBoard,
    private readonly task: DeliverTask | RenderTask | ComposeTask,
    private readonly thread: number,
    private readonly log: ThreadLog,
    private readonly testimony?: JournalEntry,
  ) {
    board.occupy(task.slot, task.generation, thread)
  }

  enterPhase(phase: Phase): void {
    this.#phase = phase
    if (phase === 'body') this.testimony?.body()
    this.board.enter(this.task.slot, this.task.generation, phase)
  }

  commit(): 'committed' | WithdrawnCode {
    const { slot, generation } = this.task
    const expiresAt = 'expiresAt' in this.task ? this.task.expiresAt : Infinity
    if (Date.now() >= expiresAt && this.board.withdraw(slot, generation)) return 'EXPIRED'
    return this.board.commit(slot, generation) ? 'committed' : 'CANCELLED'
  }

  release(): void {
    if (this.#phase === 'body') this.testimony?.unsent()
    this.board.release(this.task.slot, this.task.generation)
  }

  replied(code: number, results: Parameters<PhaseBoard['reply']>[3]): void {
    this.#phase = 'replied'
    this.testimony?.replied(code, results)
    this.board.reply(this.task.slot, this.task.generation, code, results)
  }

  addTiming(step: keyof Timings, ms: number): void {
    this.timings[step] = (this.timings[step] ?? 0) + ms
  }

  /** See {@link CriticalSection}: nothing asynchronous happens inside, so no two deliveries of a thread are ever in it. */
  readonly critical: CriticalSection = (step, work) => {
    const start = performance.now()
    this.enterPhase('rendering')
    this.log.subject = this.task
    try {
      return work()
    } finally {
      this.log.subject = undefined
      this.enterPhase('waiting')
      this.addTiming(step, performance.now() - start)
    }
  }

  outcomeOf({ outcome: classified, message, recipients, reply }: SendResult): Outcome {
    const { timings, thread } = this
    const phase = this.#phase
    // Most outcomes by far; a spread would cost as much as encoding the header.
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

  templateFailed({ code, message, details }: TemplateFailure): Extract<Outcome, { result: 'rejected' }> {
    return { result: 'rejected', code, message, ...details, ...this.#facts() }
  }

  /** A defect of ours. Before the body it is certain that nothing was sent; after it, nothing is. */
  broke(error: unknown): Outcome {
    const message = `An internal error: ${tell(error)}`
    return this.#phase === 'body' || this.#phase === 'replied'
      ? { result: 'uncertain', code: 'INTERNAL_ERROR', message, ...this.#facts() }
      : { result: 'deferred', code: 'INTERNAL_ERROR', message, ...this.#facts() }
  }

  #facts() {
    return { phase: this.#phase, recipients: [], timings: this.timings, thread: this.thread }
  }
}

function tell(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
