import { expect, it } from 'vitest'
import { describeOnEveryQueue } from '../support/everyQueue.js'
import { testInbox, testMailer } from '../support/mailer.js'
import { ScriptedServer } from '../support/scriptedServer.js'

const STUCK = 4
const HEALTHY = 20

describeOnEveryQueue('a resolved transport whose server does not answer', (newQueue) => {
  it('keeps few of the slots that it shares with others, and sends its mail once the server answers', async () => {
    let answer: () => void = () => undefined
    const answered = new Promise<string>((resolve) => (answer = () => resolve('250 2.0.0 taken')))
    const stuck = await ScriptedServer.start({ dot: () => answered, extensions: [] })
    const inbox = await testInbox()
    const mailer = await testMailer({
      queue: await newQueue(),
      concurrency: 2,
      resolveTransport: (name) => ({
        url: name.startsWith('stuck') ? `smtp://127.0.0.1:${stuck.port}` : inbox.url,
        allowPrivateHosts: true,
      }),
    })
    const mail = { to: 'ada@example.com', subject: 'Hello', text: 'Hello' }
    const mails = [
      ...Array.from({ length: 10 * STUCK }, (_, n) => ({ ...mail, transport: `stuck:${n % STUCK}` })),
      ...Array.from({ length: HEALTHY }, (_, n) => ({ ...mail, transport: `healthy:${n}` })),
    ]
    const ids = (await mailer.sendMany(mails)).map((receipt) => (receipt as { id: string }).id)
    for (const id of ids.slice(-HEALTHY))
      expect(await mailer.wait(id, { timeout: 30_000 })).toMatchObject({ status: 'sent' })
    expect(await mailer.stats()).toMatchObject({ sent: HEALTHY })
    expect(stuck.messages.length).toBeLessThan(2 * STUCK + 1)
    answer()
    for (const id of ids.slice(0, -HEALTHY))
      expect(await mailer.wait(id, { timeout: 60_000 })).toMatchObject({ status: 'sent' })
    expect(stuck.messages).toHaveLength(10 * STUCK)
  })
})
