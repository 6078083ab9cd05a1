import { describe, expect, it } from 'vitest'
import { testMailer } from '../support/mailer.js'
import { ScriptedServer } from '../support/scriptedServer.js'

const mail = { to: 'ada@example.com', subject: 'Hi', text: 'Hello' }

/** A promise and what settles it. */
function gate(): { open: () => void; passed: Promise<void> } {
  let open: () => void = () => undefined
  const passed = new Promise<void>((resolve) => (open = resolve))
  return { open, passed }
}

describe.each([
  ['in a thread', 1],
  ['inline', 0],
])('a message that is on its way, %s', (_, threads) => {
  it('can be cancelled until its envelope is sent', async () => {
    const greeted = gate()
    const connected = gate()
    const server = await ScriptedServer.start({
      greeting: async () => {
        connected.open()
        await greeted.passed
        return '220 hi'
      },
    })
    const mailer = await testMailer({ transport: `smtp://127.0.0.1:${server.port}`, threads })
    const { id } = await mailer.send(mail)
    const other = await mailer.send({ ...mail, subject: 'Other' })
    await connected.passed
    expect((await mailer.find(id))?.status).toBe('sending')
    expect((await mailer.cancel(id)).status).toBe('cancelled')
    expect((await mailer.wait(id)).status).toBe('cancelled')
    await expect(mailer.cancel(id)).rejects.toMatchObject({ code: 'CONFLICT' })

    greeted.open()
    expect((await mailer.wait(other.id)).status).toBe('sent')
    expect(server.messages.map(({ data }) => /Subject: (.*)/.exec(data)?.[1])).toEqual(['Other'])
    expect((await mailer.find(id))?.status).toBe('cancelled')

    await mailer.retry(id)
    expect((await mailer.wait(id)).status).toBe('sent')
    expect(server.messages).toHaveLength(2)
  })

  it('can not be cancelled afterwards', async () => {
    const answer = gate()
    const begun = gate()
    const server = await ScriptedServer.start({
      mail: async () => {
        begun.open()
        await answer.passed
        return '250 ok'
      },
    })
    const mailer = await testMailer({ transport: `smtp://127.0.0.1:${server.port}`, threads })
    const { id } = await mailer.send(mail)
    await begun.passed
    await expect(mailer.cancel(id)).rejects.toMatchObject({ code: 'CONFLICT' })
    answer.open()
    expect((await mailer.wait(id)).status).toBe('sent')
  })

  it('expires if its envelope was not sent in time', async () => {
    const greeted = gate()
    const connected = gate()
    const server = await ScriptedServer.start({
      greeting: async () => {
        connected.open()
        await greeted.passed
        return '220 hi'
      },
    })
    const mailer = await testMailer({ transport: `smtp://127.0.0.1:${server.port}`, threads })
    // Long enough for the message to get as far as the server, on any machine.
    const expiresAt = Date.now() + 3_000
    const { id } = await mailer.send({ ...mail, expiresAt })
    const other = await mailer.send(mail)
    await connected.passed
    while (Date.now() < expiresAt) await new Promise((resolve) => setTimeout(resolve, 10))
    greeted.open()
    expect(await mailer.wait(id)).toMatchObject({
      status: 'expired',
      attempts: [{ code: 'EXPIRED', counted: false }],
    })
    expect((await mailer.wait(other.id)).status).toBe('sent')
    expect(server.messages).toHaveLength(1)
  })
})
