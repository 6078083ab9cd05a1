import type { MailerOptions } from 'threadpost'
import { describe } from 'vitest'

/** A mailer's options, with the way it delivers. */
export type Way = (options?: Partial<MailerOptions>) => Partial<MailerOptions>

/** Deliveries in a thread and in the calling one behave the same: each test of the block runs with both. */
export function describeBothWays(name: string, tests: (way: Way) => void): void {
  describe.each([
    ['in a thread', 1],
    ['inline', 0],
  ])(`${name} %s`, (_, threads) => tests((options = {}) => ({ threads, ...options })))
}
