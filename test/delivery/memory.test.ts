// Messages share memory that is used again once they are on their way: none may ever be seen in another's.
import type { Receipt } from 'threadpost'
import { expect, it } from 'vitest'
import { mailerWithInbox } from '../support/mailer.js'

function textOf(index: number): string {
  return `${index}: ${`${index} `.repeat(200 + ((index * 7919) % 40_000))}end`
}

it('each recipient receives exactly its own message, no matter what happens to the connections', async () => {
  const { mailer, inbox } = await mailerWithInbox(
    { threads: 2, concurrency: 5, retry: { baseDelay: 0, attempts: 50 } },
    {
      faults: [
        { at: 'dot', do: 'close-before', probability: 0.05 },
        { at: 'dot', do: 'close-after', probability: 0.05 },
        { at: 'dot', do: 'defer', probability: 0.05 },
        { at: 'rcpt', do: 'defer', probability: 0.05 },
      ],
    },
  )
  const count = 400
  const receipts = await mailer.sendMany(
    Array.from({ length: count }, (_, index) => ({
      to: `r${index}@example.com`,
      subject: `Mail ${index}`,
      text: textOf(index),
    })),
  )
  const messages = await Promise.all(receipts.map((receipt) => mailer.wait((receipt as Receipt).id)))
  expect(messages.filter(({ status }) => status !== 'sent')).toEqual([])
  const received = await inbox.messages()
  const wrong = received.filter(({ subject, text, to }) => {
    const index = Number(subject.slice('Mail '.length))
    return to[0]?.address !== `r${index}@example.com` || text?.trim() !== textOf(index)
  })
  expect(wrong.map(({ subject }) => subject)).toEqual([])
  expect(new Set(received.map(({ subject }) => subject)).size).toBe(count)
})
