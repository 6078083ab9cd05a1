import { expect, it } from 'vitest'
import { Clock } from '../../src/clock.js'
import { GroupLimits } from '../../src/delivery/groupLimits.js'
import type { Settlement } from '../../src/message/messageState.js'
import { RateLimiter } from '../../src/transports/rateLimiter.js'
import { describeOnEveryQueue } from '../support/everyQueue.js'
import { testMailer } from '../support/mailer.js'
import { outcomeOf } from '../support/queueSuite/jobs.js'
import { randomFrom } from '../support/random.js'
import { ScriptedServer } from '../support/scriptedServer.js'
import { slowdownOf } from '../support/slowdown.js'

const SENT = { attempt: { outcome: outcomeOf('sent') } } as unknown as Settlement

it('a group has no more messages under way than its limit, others are due one after the other, and other groups go on', async () => {
  const random = randomFrom(3)
  const limits = new GroupLimits({ underWay: 2 }, (_, rate) => new RateLimiter(rate), new Clock())
  const underWay = new Map<string, number>()
  const ends: (() => void)[] = []
  const results: Promise<Settlement | number>[] = []
  let most = 0
  for (let step = 0; step < 300; step++) {
    const group = `g${Math.floor(random() * 3)}`
    const begun = limits.within(group, async () => {
      underWay.set(group, (underWay.get(group) ?? 0) + 1)
      most = Math.max(most, ...underWay.values())
      await new Promise<void>((resolve) => ends.push(resolve))
      underWay.set(group, underWay.get(group)! - 1)
      return SENT
    })
    results.push(begun)
    if (random() < 0.3) ends.splice(Math.floor(random() * ends.length), 1)[0]?.()
    await Promise.resolve()
  }
  for (const end of ends) end()
  const settled = await Promise.all(results)
  expect(most).toBe(2)
  expect(settled.filter((result) => result === SENT).length).toBeGreaterThan(6)
  expect(limits.active).toBe(true)
  expect(await limits.within('new', () => Promise.resolve(SENT))).toBe(SENT)
  expect(await limits.within(undefined, () => Promise.resolve(SENT))).toBe(SENT)
})

it('a group above its rate has its messages held, each for one message longer than the one before', async () => {
  const limits = new GroupLimits({ rate: 0.5 }, (_, rate) => new RateLimiter(rate), new Clock())
  const take = (group: string): Promise<Settlement | number> =>
    limits.within(group, () => Promise.resolve(SENT))
  expect(await take('a')).toBe(SENT)
  const [first, second, third] = (await Promise.all([take('a'), take('a'), take('a')])) as number[]
  expect(second! - first!).toBe(2_000)
  expect(third! - second!).toBe(2_000)
  expect(await take('b')).toBe(SENT)
})

it('many groups that are not idle take linear time', async () => {
  const take = async (groups: number): Promise<void> => {
    const limits = new GroupLimits({ underWay: 1 }, (_, rate) => new RateLimiter(rate), new Clock())
    for (let nth = 0; nth < groups; nth++) await limits.within(`g${nth}`, () => Promise.resolve(SENT))
  }
  expect(await slowdownOf(take, [2_000, 20_000])).toBeUndefined()
})

it('limits of groups that make no sense are refused', async () => {
  const limits = { perGroup: { underWay: 0 } }
  await expect(testMailer({ transport: 'inbox:', limits })).rejects.toMatchObject({
    code: 'INVALID_OPTIONS',
    path: 'limits.perGroup.underWay',
  })
})

describeOnEveryQueue('limits.perGroup', (newQueue) => {
  it('bounds how many messages of a group the server gets at a time, and all of them are sent', async () => {
    let [open, most] = [0, 0]
    const server = await ScriptedServer.start({
      dot: async () => {
        most = Math.max(most, ++open)
        await new Promise((resolve) => setTimeout(resolve, 5))
        open--
        return '250 2.0.0 taken'
      },
      extensions: [],
    })
    const mailer = await testMailer({
      transport: `smtp://127.0.0.1:${server.port}`,
      queue: await newQueue(),
      limits: { perGroup: { underWay: 2, rate: 200 } },
    })
    const mail = { to: 'ada@example.com', subject: 'Hello', text: 'Hello', group: 'tenant:42' }
    const receipts = await mailer.sendMany(Array.from({ length: 12 }, () => mail))
    for (const { id } of receipts as { id: string }[]) expect((await mailer.wait(id)).status).toBe('sent')
    expect(most).toBeLessThanOrEqual(2)
    expect(server.messages).toHaveLength(12)
  })
})
