import type { MailerOptions } from 'threadpost'
import { describe } from 'vitest'

/** A mailer's options, with the way it delivers. */
export type Way = (options?: Partial<MailerOptions>) => Partial<MailerOptions>

/** What is true of deliveries in a thread is true of those in the calling one: each test of the block runs with both. */
export function describeBothWays(name: string, tests: (way: Way) => void): void {
  describe.each([
    ['in a thread', 1],
    ['inline', 0],
  ])(`${name} %s`, (_, threads) => tests((options = {}) => ({ threads, ...options })))
}
