import { expect, it } from 'vitest'
import { testMailer } from './support/mailer.js'
import { ScriptedServer } from './support/scriptedServer.js'

it('over a long line the next message is at hand, and its envelope rides behind the one before', async () => {
  let rode = 0
  const server = await ScriptedServer.start({
    dot: async (_, conversation) => {
      await new Promise((resolve) => setTimeout(resolve, 25))
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
  // Before half a second is over nothing is known of the line.
  expect(rode).toBeGreaterThan(10)
})
