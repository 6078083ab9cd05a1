import path from 'node:path'
import type { Mailer, MailerOptions, Receipt, TransportOptions } from 'threadpost'
import type { Inbox, InboxOptions } from 'threadpost/testing'
import { describe, expect, it } from 'vitest'
import { copiesByMessageId } from '../support/copies.js'
import { folderOf } from '../support/folder.js'
import { testInbox, testMailer } from '../support/mailer.js'
import { freePort } from '../support/ports.js'

const COUNT = 30
const QUICK: Partial<MailerOptions> = {
  breaker: { probeDelay: 50, maxProbeDelay: 200 },
  retry: { attempts: 1 },
}

/** An attempt that meets no server in time costs nothing, and goes again. */
const quick = (url: string): TransportOptions => ({
  url,
  timeouts: { connect: 500, greeting: 500, handshake: 500 },
})

const inboxOf = (options: InboxOptions = {}): Promise<Inbox> => testInbox({ keep: 1_000, ...options })

/** Sends, and waits until all are held and the breaker's event is there. */
async function held(mailer: Mailer, code: string): Promise<Receipt[]> {
  const opened: string[] = []
  mailer.on('breaker-open', (event) => opened.push(event.code))
  const receipts = await Promise.all(
    Array.from({ length: COUNT }, (_, n) =>
      mailer.send({ to: `user${n}@example.com`, subject: 's', text: 't' }),
    ),
  )
  // One at a time tries whether the server is back.
  const waiting = async () => (await mailer.stats()).held
  await expect.poll(waiting).toBeGreaterThanOrEqual(COUNT - 1)
  expect(opened).toEqual([code])
  expect((await mailer.stats()).transports).toMatchObject([{ breaker: 'open', trouble: { code } }])
  return receipts
}

/** One attempt is all a message has here: had one been used up meanwhile, it would have failed. */
async function sentOnce(mailer: Mailer, inbox: Inbox, receipts: Receipt[]): Promise<void> {
  const messages = await Promise.all(receipts.map(({ id }) => mailer.wait(id)))
  const { accepted, sent } = await mailer.stats()
  expect({ accepted, sent }).toEqual({ accepted: COUNT, sent: COUNT })
  expect(messages.map(({ messageId }) => messageId)).toEqual(receipts.map(({ messageId }) => messageId))
  expect(messages.filter(({ uncertain }) => uncertain)).toEqual([])
  const counted = messages.map(({ attempts }) => attempts.filter((attempt) => attempt.counted).length)
  expect(counted).toEqual(messages.map(() => 1))
  const copies = copiesByMessageId(inbox)
  expect(messages.map(({ messageId }) => copies.get(messageId))).toEqual(messages.map(() => 1))
}

describe.each(['memory', 'sqlite'])(
  'the breaker of a mailer with the %s queue holds mail, which is sent once later,',
  (kind) => {
    const mailerTo = async (transport: string): Promise<Mailer> => {
      const queue = kind === 'memory' ? kind : `sqlite:${path.join(await folderOf({}), 'outbox.db')}`
      return testMailer({ transport: quick(transport), queue, ...QUICK })
    }

    it('if the connection is refused', async () => {
      const port = await freePort()
      const mailer = await mailerTo(`smtp://127.0.0.1:${port}`)
      const receipts = await held(mailer, 'CONNECTION_FAILED')
      await sentOnce(mailer, await inboxOf({ port }), receipts)
    })

    it('if the host name does not exist', async () => {
      const mailer = await mailerTo('smtp://mail.threadpost.invalid:25')
      const receipts = await held(mailer, 'CONNECTION_FAILED')
      const inbox = await inboxOf()
      await mailer.reload({ transport: quick(inbox.url) })
      await sentOnce(mailer, inbox, receipts)
    })

    it.each(['silence', 'drip', 'garbage', 'close', 'defer'] as const)(
      'if the greeting has the fault %s',
      async (fault) => {
        const inbox = await inboxOf({ faults: [{ at: 'greeting', do: fault }] })
        const mailer = await mailerTo(inbox.url)
        const receipts = await held(mailer, 'CONNECTION_FAILED')
        expect(inbox.count).toBe(0)
        inbox.faults.clear()
        await sentOnce(mailer, inbox, receipts)
      },
    )

    it('until the password is correct', async () => {
      const inbox = await inboxOf({ auth: { user: 'ada', pass: 'right' } })
      const url = (password: string) => inbox.url.replace('//', `//ada:${password}@`)
      const mailer = await mailerTo(url('wrong'))
      const receipts = await held(mailer, 'AUTH_FAILED')
      await mailer.reload({ transport: quick(url('right')) })
      await sentOnce(mailer, inbox, receipts)
    })
  },
)
