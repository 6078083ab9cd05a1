import type { Validator } from '../validation.js'

export interface RetentionOptions {
  /** Settled messages kept at most. @default 10_000 */
  count?: number
  /** Milliseconds a settled message is kept. @default 604_800_000 (7 days) */
  age?: number
  /**
   * Whether the data, the bodies and the attachments outlive the sending. `'until-settled'` drops them once a
   * message is sent; one that failed, expired or was cancelled keeps them, since it can be retried.
   * @default 'until-settled'
   */
  data?: 'until-settled' | 'kept'
  /**
   * Milliseconds an idempotency key is remembered after its message was accepted, whether or not the message is
   * still kept; never shorter than the message may wait. @default 86_400_000 (1 day)
   */
  keys?: number
}

export type Retention = Required<RetentionOptions>

export function resolveRetention(check: Validator, value: unknown): Retention {
  const retain = check.object(value, 'retain', ['count', 'age', 'data', 'keys'])
  return {
    count: check.integer(retain['count'] ?? 10_000, 'retain.count', 0),
    age: check.duration(retain['age'] ?? 7 * 24 * 60 * 60 * 1000, 'retain.age'),
    data: check.oneOf(retain['data'] ?? 'until-settled', 'retain.data', ['until-settled', 'kept']),
    keys: check.duration(retain['keys'] ?? 24 * 60 * 60 * 1000, 'retain.keys'),
  }
}
