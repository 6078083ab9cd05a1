import type { Logger } from './logger.js'

/** Milliseconds for which a condition must be absent before its end is logged; doubled each time it soon returns. */
const QUIET = 1_000
const LONGEST_QUIET = 60_000
/** Milliseconds after an end during which a new beginning counts as a return of the same problem. */
const SOON = 60_000

export interface Condition {
  /** The line logged at the beginning, at `level`. */
  begins: string
  level: 'warn' | 'error'
  /** The line logged at the end, at `info`. */
  ends: string
}

/**
 * Logs a condition that can last or return: one line when it begins and one when it ends, however often it is reported or
 * returns in between. Every log line that a loop could repeat goes through a ConditionLog.
 *
 *     over ── begin(): logged ──► on ── end() ──► ending ── absent for long enough: logged ──► over
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
   * @param fields the fields of the line, which is logged only at the beginning
   * @param line replaces the usual text
   * @returns whether this is the beginning
   */
  begin(fields: object, line = this.#condition.begins): boolean {
    this.#times++
    clearTimeout(this.#ending)
    this.#ending = undefined
    if (this.#on) return false
    this.#on = true
    const returned = performance.now() - this.#endedAt < SOON
    this.#quiet = returned ? Math.min(LONGEST_QUIET, 2 * this.#quiet) : QUIET
    this.#logger[this.#condition.level](fields, line)
    return true
  }

  /** @param fields the fields of the line, which is logged unless the condition soon returns */
  end(fields: object = {}): void {
    if (!this.#on || this.#ending !== undefined) return
    this.#endFields = fields
    this.#ending = setTimeout(() => this.#over(), this.#quiet).unref()
  }

  /** Begins the condition with a problem, and ends it without one. */
  report(problem: string | undefined): void {
    if (problem === undefined) this.end()
    else this.begin({ problem })
  }

  /**
   * For a condition without an end of its own: it ends when it has not happened for a while.
   * @returns whether this is the beginning
   */
  happened(fields: object): boolean {
    const first = this.begin(fields)
    this.end()
    return first
  }

  /** Logs a pending end at once. */
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

/** Conditions that are followed, at most: resolved transports have any number of names. */
const MAX_CONDITIONS = 10_000

/** One condition per name, so that one transport's log lines don't suppress another's. */
export function conditionOf(
  conditions: Map<string, ConditionLog>,
  name: string,
  logger: Logger,
  condition: Condition,
): ConditionLog {
  const log = conditions.get(name) ?? new ConditionLog(logger, condition)
  conditions.delete(name)
  conditions.set(name, log)
  const [oldest] = conditions.keys()
  if (conditions.size > MAX_CONDITIONS && oldest !== undefined) conditions.delete(oldest)
  return log
}
