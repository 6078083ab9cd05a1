import { describe, expect, it } from 'vitest'
import { testMailer } from '../support/mailer.js'
import { ScriptedServer } from '../support/scriptedServer.js'

const mail = { to: 'ada@example.com', subject: 'Hi', text: 'Hello' }

/** A server that stops at one of its replies: `reached` resolves there, and `proceed()` lets it reply. */
async function serverStoppingAt(step: 'greeting' | 'mail', reply: string) {
  let arrive: () => void = () => undefined
  let proceed: () => void = () => undefined
  const reached = new Promise<void>((resolve) => (arrive = resolve))
  const allowed = new Promise<void>((resolve) => (proceed = resolve))
  const server = await ScriptedServer.start({
    [step]: async () => {
      arrive()
      await allowed
      return reply
    },
  })
  return { server, transport: `smtp://127.0.0.1:${server.port}`, reached, proceed }
}

describe.each([
  ['in a thread', 1],
  ['inline', 0],
])('a message in progress, %s', (_, threads) => {
  it('can be cancelled until its envelope is sent', async () => {
    const { server, transport, reached, proceed } = await serverStoppingAt('greeting', '220 hi')
    const mailer = await testMailer({ transport, threads })
    const { id } = await mailer.send(mail)
    const other = await mailer.send({ ...mail, subject: 'Other' })
    await reached
    expect((await mailer.find(id))?.status).toBe('sending')
    expect((await mailer.cancel(id)).status).toBe('cancelled')
    expect((await mailer.wait(id)).status).toBe('cancelled')
    await expect(mailer.cancel(id)).rejects.toMatchObject({ code: 'CONFLICT' })

    proceed()
    expect((await mailer.wait(other.id)).status).toBe('sent')
    expect(server.messages.map(({ data }) => /Subject: (.*)/.exec(data)?.[1])).toEqual(['Other'])
    expect((await mailer.find(id))?.status).toBe('cancelled')

    await mailer.retry(id)
    expect((await mailer.wait(id)).status).toBe('sent')
    expect(server.messages).toHaveLength(2)
  })

  it('can’t be cancelled once its envelope is sent', async () => {
    const { transport, reached, proceed } = await serverStoppingAt('mail', '250 ok')
    const mailer = await testMailer({ transport, threads })
    const { id } = await mailer.send(mail)
    await reached
    await expect(mailer.cancel(id)).rejects.toMatchObject({ code: 'CONFLICT' })
    proceed()
    expect((await mailer.wait(id)).status).toBe('sent')
  })

  it('expires if its envelope was not sent in time', async () => {
    const { server, transport, reached, proceed } = await serverStoppingAt('greeting', '220 hi')
    const mailer = await testMailer({ transport, threads })
    const other = await mailer.send(mail)
    await reached
    // Long enough for a thread to take the message: one is connected already.
    const expiresAt = Date.now() + 3_000
    const { id } = await mailer.send({ ...mail, expiresAt })
    await expect.poll(async () => (await mailer.stats()).phases.connecting).toBe(2)
    await expect.poll(() => Date.now()).toBeGreaterThanOrEqual(expiresAt)
    proceed()
    expect(await mailer.wait(id)).toMatchObject({
      status: 'expired',
      attempts: [{ code: 'EXPIRED', counted: false }],
    })
    expect((await mailer.wait(other.id)).status).toBe('sent')
    expect(server.messages).toHaveLength(1)
  })
})
