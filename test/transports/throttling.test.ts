import { describe, expect, it } from 'vitest'
import { isThrottling } from '../../src/transports/rateLimiter.js'
import { parseReply } from '../../workers/transports/smtp/reply.js'
import { outcomeOf } from '../support/queueSuite/jobs.js'

function throttles(line: string): boolean {
  const reply = parseReply(line)
  if (reply === undefined) throw new Error(`${line} is not a reply`)
  return isThrottling(outcomeOf('deferred', { reply }))
}

describe('a reply by which a server asks for fewer messages', () => {
  it.each([
    '421 4.7.0 Try again later, closing connection',
    '421 4.7.28 Our system has detected an unusual rate of unsolicited mail originating from your IP address',
    '421 Too many concurrent SMTP connections',
    '421 4.4.5 Too many connections from your host',
    '421 4.3.2 Too many messages in this session',
    '421 RP-001 Unfortunately, some messages were not sent since they exceeded the rate limit',
    '450 4.7.1 Error: too much mail from 192.0.2.1',
    '450 4.3.0 Please slow down',
    '451 4.7.500 Server busy. Please try again later',
    '451 Rate-limited, try again later',
    '452 Too many sessions open',
    '454 Throttling failure: Maximum sending rate exceeded.',
    '454 Throttling failure: Daily message quota exceeded.',
  ])('is recognized by its code or its words: %s', (line) => {
    expect(throttles(line)).toBe(true)
  })

  it.each([
    '421 4.3.2 System shutting down',
    '421 4.3.2 Service not available, closing transmission channel',
    '421 4.4.2 Error: timeout exceeded',
    '421 Service not available, closing transmission channel',
    '421 mail.example.com going down for maintenance',
    '450 4.2.0 Greylisted, see https://postgrey.example/',
    '451 4.7.1 Greylisting in action, please come back later',
    '450 4.2.1 The user is receiving mail at a rate that prevents additional messages from being delivered',
    '450 4.1.8 Sender address rejected: Domain not found',
    '451 4.3.0 Temporary failure, please deliberate',
    '452 4.3.1 Insufficient system storage',
    '452 4.5.3 Too many recipients',
    '452 4.2.2 Mailbox quota exceeded',
    '452 Requested mail action not taken: mailbox quota exceeded',
    '454 4.7.0 Temporary authentication failure',
    '454 4.7.0 TLS not available due to local problem',
  ])('is not one that closes a connection or concerns a single message: %s', (line) => {
    expect(throttles(line)).toBe(false)
  })

  it('includes HTTP 429, and excludes permanent refusals', () => {
    expect(isThrottling(outcomeOf('deferred', { reply: { code: 429, text: 'Too Many Requests' } }))).toBe(
      true,
    )
    expect(isThrottling(outcomeOf('deferred', { reply: { code: 503, text: 'Service Unavailable' } }))).toBe(
      false,
    )
    expect(isThrottling(outcomeOf('rejected', { reply: { code: 550, text: 'Too many messages' } }))).toBe(
      false,
    )
    expect(isThrottling(outcomeOf('deferred'))).toBe(false)
  })
})
