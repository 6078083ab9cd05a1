import { expect, it } from 'vitest'
import { mailerWithInbox, testInbox } from '../support/mailer.js'
import { startPostfix } from '../support/postfix.js'
import { describeWith } from '../support/tools.js'

const bounces = { address: 'bounces@acme.example', secret: 'a-secret-of-sixteen-or-more' }

describeWith(['postfix-master'], 'bounces that Postfix returns', (tools) => {
  const asRoot = it.skipIf(process.getuid?.() !== 0)

  asRoot(
    'tell of each recipient what happened, and the next mail to a dead address is suppressed',
    async () => {
      // It takes the mail for other.example, except for one address, and what is returned to acme.example.
      const receiver = await testInbox()
      receiver.faults.set([
        { at: 'rcpt', to: 'dead@other.example', do: 'refuse', reply: '550 5.1.1 No such user here' },
      ])
      const { port: receiving } = new URL(receiver.url)
      const relay = await startPostfix(tools['postfix-master'], {
        mynetworks: '127.0.0.0/8',
        smtpd_relay_restrictions: 'permit_mynetworks, reject_unauth_destination',
        smtpd_reject_unlisted_recipient: 'no',
        smtp_dns_support_level: 'disabled',
        transport_maps: `inline:{other.example=smtp:[127.0.0.1]:${receiving}, acme.example=smtp:[127.0.0.1]:${receiving}}`,
      })
      const { mailer } = await mailerWithInbox({
        transport: { url: `smtp://127.0.0.1:${relay.port}`, dsn: true },
        bounces,
      })
      const to = ['ada@example.com', 'nobody@example.com', 'dead@other.example']
      const messages = await Promise.all(
        to.map((address) => mailer.sendAndWait({ to: address, subject: 'Hi', text: 'Hi' })),
      )
      expect(messages.map(({ status }) => status)).toEqual(['sent', 'sent', 'sent'])

      const returned = () =>
        receiver.stored().filter(({ envelope }) => envelope.to[0]?.startsWith('bounces+'))
      await expect.poll(() => returned().length, { timeout: 120_000 }).toBe(3)
      for (const { raw } of returned()) expect(await mailer.report({ raw })).toBe(1)

      const found = await Promise.all(messages.map(({ id }) => mailer.wait(id, { until: 'delivered' })))
      expect(found.map(({ recipients }) => recipients[0]?.delivery)).toMatchObject([
        { state: 'delivered', source: 'dsn' },
        { state: 'bounced', permanent: true, category: 'mailbox', enhanced: '5.1.1' },
        { state: 'bounced', permanent: true, category: 'mailbox', enhanced: '5.1.1' },
      ])
      const again = await mailer.sendAndWait({ to: 'dead@other.example', subject: 'Hi', text: 'Hi' })
      expect(again).toMatchObject({ status: 'failed', attempts: [{ code: 'SUPPRESSED' }] })
    },
  )
})
