import { setTimeout } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { testMailer } from '../../support/mailer.js'
import { ScriptedServer } from '../../support/scriptedServer.js'

/** Milliseconds, far more than it takes a message to get from the main thread to its connection. */
const LINE = 300

it('over a long round trip, the next message is prefetched and its envelope follows the final dot of the previous message', async () => {
  let rode = 0
  const server = await ScriptedServer.start({
    dot: async (_, conversation) => {
      // It answers when the next envelope is there, or after a while.
      if (conversation.input === '') await Promise.race([conversation.more(), setTimeout(LINE)])
      if (conversation.input.startsWith('MAIL FROM')) rode++
      return '250 ok'
    },
  })
  const mailer = await testMailer({
    transport: `smtp://127.0.0.1:${server.port}`,
    threads: 1,
    concurrency: 1,
  })
  const mail = { to: 'ada@example.com', subject: 'Hi', text: 'Hello' }
  const receipts = await Promise.all(Array.from({ length: 60 }, () => mailer.send(mail)))
  await Promise.all(receipts.map(({ id }) => mailer.wait(id)))
  expect(server.conversations).toHaveLength(1)
  // Before half a second is over nothing is known of the line, so that the first few waited for a reply.
  expect(rode).toBeGreaterThan(10)
})
