import { Cron } from 'croner'
import type { Validator } from '../validation.js'

/**
 * The times of a schedule. This is croner's only importer. Across a change of the clocks, a time that doesn't exist moves behind
 * the gap, and a time that exists twice counts once.
 */
export class Recurrence {
  readonly #cron: Cron

  private constructor(cron: Cron) {
    this.#cron = cron
  }

  /** @throws ThreadpostError with the path of the field that is not valid */
  static of(cron: string, timeZone: string, check: Validator): Recurrence {
    try {
      new Intl.DateTimeFormat('en', { timeZone })
    } catch {
      check.fail('timeZone', 'must be a name of the IANA time zone database, such as Europe/Berlin')
    }
    try {
      return new Recurrence(new Cron(cron, { timezone: timeZone, paused: true }))
    } catch (error) {
      const fields = cron.trim().split(/\s+/).length
      const problem =
        fields === 5 || fields === 6
          ? (error as Error).message.replace(/^\w+: /, '').slice(0, 100)
          : `it has ${fields} field${fields === 1 ? '' : 's'} instead of five, or six with the seconds first`
      return check.fail('cron', `is not a cron expression such as '0 8 * * 1': ${problem}`)
    }
  }

  /** Returns the first time after another, in ms since the epoch; undefined if there is none. */
  next(after: number): number | undefined {
    return this.#cron.nextRun(new Date(after))?.getTime()
  }

  /** Returns the last time that is due at `now`. */
  last(now: number): number | undefined {
    // The reference itself doesn't count.
    return this.#cron
      .previousRuns(1, new Date(now + 1_000))
      .find((time) => time.getTime() <= now)
      ?.getTime()
  }
}
