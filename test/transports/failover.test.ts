import { describe, expect, it } from 'vitest'
import { folderOf } from '../support/folder.js'
import { testMailer } from '../support/mailer.js'
import { freePort } from '../support/ports.js'
import { CLOSE, ScriptedServer } from '../support/scriptedServer.js'

const mail = { to: 'ada@example.com', subject: 'Hi', text: 'Hello' }

const subjects = (server: ScriptedServer): string[] =>
  server.messages.map(({ data }) => /^Subject: (.*)\r$/m.exec(data)?.[1] ?? '')

describe('failover', () => {
  it.each(['memory', 'sqlite'])(
    'moves mail to the second transport while the first is unreachable, and back afterwards (%s)',
    async (kind) => {
      let works = false
      const first = await ScriptedServer.start({ greeting: () => (works ? '220 hello' : '554 5.7.1 no') })
      const second = await ScriptedServer.start()
      const mailer = await testMailer({
        transports: {
          first: { url: `smtp://127.0.0.1:${first.port}`, failover: ['nowhere', 'second'] },
          nowhere: `smtp://127.0.0.1:${await freePort()}`,
          second: `smtp://127.0.0.1:${second.port}`,
        },
        threads: 2,
        // So long that no message probes the same server twice.
        breaker: { probeDelay: 1_000, maxProbeDelay: 1_000 },
        queue: kind === 'memory' ? kind : `sqlite:${await folderOf({})}/outbox.db`,
      })
      const receipts = await mailer.sendMany(Array.from({ length: 60 }, () => mail))
      for (const receipt of receipts) {
        const message = await mailer.wait('id' in receipt ? (receipt.id ?? '') : '')
        expect(message).toMatchObject({ status: 'sent', transport: 'first' })
        expect(message.attempts.at(-1)).toMatchObject({ transport: 'second', counted: true })
        expect(
          message.attempts
            .slice(0, -1)
            .every(({ counted, code }) => !counted && code === 'CONNECTION_FAILED'),
        ).toBe(true)
        expect(message.attempts.length).toBeLessThanOrEqual(3)
      }
      expect(second.messages).toHaveLength(60)
      works = true
      const closed = new Promise((resolve) => mailer.once('breaker-closed', resolve))
      while (first.messages.length === 0) expect((await mailer.sendAndWait(mail)).status).toBe('sent')
      await closed
      expect((await mailer.sendAndWait(mail)).attempts).toMatchObject([{ transport: 'first' }])
    },
  )

  it('delivers each message once, or marks it, when half of the connections close after the final dot', async () => {
    let dots = 0
    let refuse = false
    const first = await ScriptedServer.start({
      greeting: () => (refuse ? '421 4.3.2 closing' : '220 hello'),
      dot: () => {
        dots++
        if (dots > 20) refuse = true
        return dots % 2 === 0 ? CLOSE : '250 2.0.0 taken'
      },
    })
    const second = await ScriptedServer.start()
    const mailer = await testMailer({
      transports: {
        first: { url: `smtp://127.0.0.1:${first.port}`, failover: 'second' },
        second: `smtp://127.0.0.1:${second.port}`,
      },
      threads: 2,
    })
    const names = Array.from({ length: 100 }, (_, index) => `mail ${index}`)
    const receipts = await mailer.sendMany(names.map((subject) => ({ ...mail, subject })))
    const arrived = () => [...subjects(first), ...subjects(second)]
    for (const [index, receipt] of receipts.entries()) {
      const message = await mailer.wait('id' in receipt ? (receipt.id ?? '') : '')
      expect(message.status).toBe('sent')
      const copies = arrived().filter((subject) => subject === names[index]).length
      const unanswered = message.attempts.filter(({ outcome }) => outcome === 'uncertain').length
      expect(copies).toBe(unanswered + 1)
      expect(message.uncertain).toBe(unanswered > 0)
      // After a body that got no reply the message goes on by the rules for retries, marked; never over another in secret.
      for (const { outcome, code } of message.attempts.slice(0, -1))
        expect(outcome === 'uncertain' || code === 'CONNECTION_FAILED' || code === 'CONNECTION_CLOSED').toBe(
          true,
        )
    }
    expect(second.messages.length).toBeGreaterThan(0)
    expect(first.messages.length).toBeGreaterThan(20)
  })

  it('is validated', async () => {
    const wrong = (failover: string) => ({ transports: { a: { url: 'inbox:', failover }, b: 'inbox:' } })
    await expect(testMailer(wrong('c'))).rejects.toMatchObject({
      code: 'INVALID_OPTIONS',
      path: 'transports.a.failover',
    })
    await expect(testMailer(wrong('a'))).rejects.toMatchObject({ path: 'transports.a.failover' })
  })
})
