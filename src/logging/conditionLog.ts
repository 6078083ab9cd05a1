import type { Logger } from './logger.js'

/** Milliseconds that a condition must be over before its end is logged; doubled each time it soon begins again. */
const QUIET = 1_000
const LONGEST_QUIET = 60_000
/** Milliseconds after an end in which a new beginning counts as the same trouble coming and going. */
const SOON = 60_000

export interface Condition {
  /** The line that says that it has begun, and how serious that is. */
  begins: string
  level: 'warn' | 'error'
  /** The line that says that it is over. */
  ends: string
}

/**
 * Logs a condition of the product that may last or return: one line when it begins and one when it ends, however
 * often it is reported and however often it comes and goes in between. Every line that a loop could repeat is written
 * by one of these.
 *
 *     over ── begin(): logged ──► on ── end() ──► ending ── quiet for long enough: logged ──► over
 *                                  ▲                │
 *                                  └── begin() ─────┘
 */
export class ConditionLog {
  readonly #logger: Logger
  readonly #condition: Condition
  #on = false
  #times = 0
  #endFields: object = {}
  #quiet = QUIET
  #endedAt = -Infinity
  #ending: NodeJS.Timeout | undefined

  constructor(logger: Logger, condition: Condition) {
    this.#logger = logger
    this.#condition = condition
  }

  /**
   * @param fields of the line, if this is the beginning
   * @param line in place of the usual one
   * @returns whether this is the beginning
   */
  begin(fields: object, line = this.#condition.begins): boolean {
    this.#times++
    clearTimeout(this.#ending)
    this.#ending = undefined
    if (this.#on) return false
    this.#on = true
    const again = performance.now() - this.#endedAt < SOON
    this.#quiet = again ? Math.min(LONGEST_QUIET, 2 * this.#quiet) : QUIET
    this.#logger[this.#condition.level](fields, line)
    return true
  }

  /** @param fields of the line, if this turns out to be the end */
  end(fields: object = {}): void {
    if (!this.#on || this.#ending !== undefined) return
    this.#endFields = fields
    this.#ending = setTimeout(() => this.#over(), this.#quiet).unref()
  }

  /** Begins or ends it, as a problem is there or not. */
  report(problem: string | undefined): void {
    if (problem === undefined) this.end()
    else this.begin({ problem })
  }

  /** For what has no end of its own: it is over once it has not happened for a while. @returns whether this is the beginning */
  happened(fields: object): boolean {
    const first = this.begin(fields)
    this.end()
    return first
  }

  /** Logs an end that is only waiting to be certain, and nothing more. */
  close(): void {
    if (this.#ending !== undefined) this.#over()
  }

  #over(): void {
    clearTimeout(this.#ending)
    this.#ending = undefined
    this.#on = false
    this.#endedAt = performance.now()
    this.#logger.info({ ...this.#endFields, times: this.#times }, this.#condition.ends)
    this.#times = 0
  }
}
