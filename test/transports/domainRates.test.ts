import { describe, expect, it, vi } from 'vitest'
import { Clock } from '../../src/clock.js'
import type { Outcome } from '../../src/protocol/outcome.js'
import { DomainRates } from '../../src/transports/domainRates.js'
import { testMailer } from '../support/mailer.js'
import { outcomeOf } from '../support/queueSuite/jobs.js'
import { ScriptedServer } from '../support/scriptedServer.js'

const SLOW_DOWN = { code: 421, enhanced: '4.7.28', text: '4.7.28 unusual rate of mail' }

function outcome(result: 'sent' | 'deferred', domain: string, reply = SLOW_DOWN): Outcome {
  const to = { address: `ada@${domain}`, result: result === 'sent' ? ('accepted' as const) : result }
  return outcomeOf(result, { recipients: [to], ...(result === 'sent' ? {} : { reply }) })
}

describe('a recipient domain that asks for fewer messages', () => {
  it('is slowed alone while the server accepts mail to another domain, and otherwise the transport is', () => {
    const rates = new DomainRates(new Clock())
    expect(rates.record(outcome('deferred', 'a.example'))).toBe(false)
    expect(rates.active).toBe(false)
    rates.record(outcome('sent', 'b.example'))
    expect(rates.record(outcome('deferred', 'a.example', { ...SLOW_DOWN, code: 429 }))).toBe(false)
    expect(rates.record(outcome('deferred', 'a.example'))).toBe(true)
    expect(Object.keys(rates.status)).toEqual(['a.example'])
    expect(rates.record(outcome('deferred', 'c.example'))).toBe(true)
    expect(rates.record(outcome('deferred', 'd.example'))).toBe(true)
    expect(rates.record(outcome('deferred', 'e.example'))).toBe(false)
    expect(Object.keys(rates.status)).toEqual(['a.example', 'c.example', 'd.example'])
  })

  it('gets its messages at its rate, each due after the one before it, and others are not held', async () => {
    const clock = new Clock()
    const rates = new DomainRates(clock)
    rates.record(outcome('sent', 'b.example'))
    rates.record(outcome('deferred', 'a.example'))
    const take = (domains: string[]) =>
      rates.within(
        domains,
        () => Promise.resolve('sent'),
        () => 1,
      )
    const start = clock.now()
    const results = await Promise.all(Array.from({ length: 100 }, () => take(['a.example'])))
    const due = results.filter((result) => typeof result === 'number')
    // Half of the ten messages a second that each domain is assumed to take, in a window of a second.
    expect(results.length - due.length).toBeLessThanOrEqual(5)
    expect(due).toEqual([...due].sort((a, b) => a - b))
    expect(due.at(-1)! - start).toBeGreaterThan(90 * 200)
    expect(await take(['b.example'])).toBe('sent')
    expect(typeof (await take(['b.example', 'a.example']))).toBe('number')
  })

  it('does not slow its transport, and gets all of its messages in the end', async () => {
    let asked = 0
    const server = await ScriptedServer.start({
      rcpt: (line) => (/slow\.example/.test(line) && ++asked <= 3 ? '451 4.7.1 slow down' : '250 2.1.5 ok'),
      extensions: [],
    })
    const mailer = await testMailer({
      transport: `smtp://127.0.0.1:${server.port}`,
      retry: { baseDelay: 100, factor: 1, jitter: 'none', attempts: 20 },
    })
    const slowed = vi.fn()
    mailer.on('transport-slowed', slowed)
    const mail = { subject: 'Hello', text: 'Hello' }
    await mailer.sendAndWait({ ...mail, to: 'ada@quick.example' })
    const first = await mailer.send({ ...mail, to: 'ada@slow.example' })
    await new Promise((resolve) => mailer.once('deferred', resolve))
    expect(Object.keys((await mailer.stats()).transports[0]?.slowedDomains ?? {})).toEqual(['slow.example'])
    const receipts = await mailer.sendMany(
      Array.from({ length: 12 }, (_, n) => ({
        ...mail,
        to: n % 2 === 0 ? 'ada@quick.example' : 'ada@slow.example',
      })),
    )
    for (const { id } of [first, ...receipts] as { id: string }[])
      expect((await mailer.wait(id)).status).toBe('sent')
    expect(slowed).not.toHaveBeenCalled()
  })
})
