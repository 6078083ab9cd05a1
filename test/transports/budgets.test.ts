import type { Mailer } from 'threadpost'
import { describe, expect, it, vi } from 'vitest'
import { folderOf } from '../support/folder.js'
import { testMailer } from '../support/mailer.js'
import { mostInASecond } from '../support/mostInASecond.js'
import { freePort } from '../support/ports.js'
import { ScriptedServer } from '../support/scriptedServer.js'

const mail = { to: 'ada@example.com', subject: 'Hi', text: 'Hello' }

/** A server that notes when it saw each envelope and each final dot. */
async function clockedServer(delay = 0) {
  const mails: number[] = []
  const dots: number[] = []
  const server = await ScriptedServer.start({
    mail: () => {
      mails.push(performance.now())
      return '250 2.1.0 ok'
    },
    dot: async () => {
      dots.push(performance.now())
      if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay))
      return '250 2.0.0 taken'
    },
  })
  return { server, url: `smtp://127.0.0.1:${server.port}`, mails, dots }
}

async function bulk(mailer: Mailer, count: number, extra: object = {}): Promise<string[]> {
  const receipts = await mailer.sendMany(Array.from({ length: count }, () => ({ ...mail, ...extra })))
  return receipts.map((receipt) => ('id' in receipt ? (receipt.id ?? '') : ''))
}

describe('the budget of a transport', () => {
  // The rate is used up as well: test/transports/rateLimiter.test.ts counts that on a clock of its own.
  it.each(['memory', 'sqlite'])('limits the rate of two threads together (%s)', async (kind) => {
    const { url, mails, dots } = await clockedServer(5)
    const queue = kind === 'memory' ? kind : `sqlite:${await folderOf({})}/outbox.db`
    const mailer = await testMailer({ transport: { url, rate: 50 }, threads: 2, queue })
    const held = vi.fn()
    mailer.on('held', held)
    const ids = await bulk(mailer, 200)
    await mailer.wait(ids[149] ?? '')
    await expect.poll(() => dots.length).toBeGreaterThanOrEqual(150)
    expect(dots[149]! - dots[0]!).toBeGreaterThan(2_000)
    expect(mostInASecond(dots)).toBeLessThanOrEqual(50)
    expect(mostInASecond(mails)).toBeLessThanOrEqual(50)
    // A message that waits is stored about once for it.
    expect(held.mock.calls.length).toBeLessThan(200)
    expect(held.mock.calls[0]).toMatchObject([{ heldReason: 'budget', status: 'held' }])
  })

  it('delays neither messages of higher priority nor another transport during a bulk send', async () => {
    const seen: string[] = []
    const slow = await ScriptedServer.start({
      rcpt: (line) => {
        seen.push(line)
        return '250 2.1.5 ok'
      },
    })
    const other = await ScriptedServer.start()
    const mailer = await testMailer({
      transports: {
        slow: { url: `smtp://127.0.0.1:${slow.port}`, rate: 10 },
        other: `smtp://127.0.0.1:${other.port}`,
      },
      threads: 2,
    })
    await bulk(mailer, 1_000, { priority: 1 })
    await expect.poll(() => seen.length).toBeGreaterThanOrEqual(10)
    expect((await mailer.sendAndWait({ ...mail, transport: 'other' })).status).toBe('sent')
    const ids = await bulk(mailer, 3, { to: 'reset@example.com', priority: 9 })
    const before = seen.length
    for (const id of ids) await mailer.wait(id)
    const resets = seen.flatMap((line, index) => (line.includes('reset') ? [index] : []))
    // Only those are in front of them that were on their way already: of a thousand no more than there are slots.
    expect(Math.max(...resets)).toBeLessThan(before + 20)
    expect((await mailer.stats()).held + seen.length).toBeGreaterThan(900)
  })

  it('limits the messages in progress to a domain, and lets messages to other domains pass', async () => {
    let underWay = 0
    let most = 0
    let open: () => void = () => undefined
    const passed = new Promise<void>((resolve) => (open = resolve))
    const server = await ScriptedServer.start({
      dot: async (_line, { messages }) => {
        if (!messages.at(-1)?.to[0]?.toLowerCase().endsWith('@big.example')) return '250 2.0.0 taken'
        most = Math.max(most, ++underWay)
        await passed
        await new Promise((resolve) => setTimeout(resolve, 20))
        underWay--
        return '250 2.0.0 taken'
      },
    })
    const mailer = await testMailer({
      transport: { url: `smtp://127.0.0.1:${server.port}`, domainConcurrency: 2 },
      threads: 2,
    })
    // With the others no more than one thread may have under way.
    const many = await bulk(mailer, 5, { to: 'ada@Big.example' })
    // Two of them may ride behind one that is under way, and wait for its reply.
    const small: string[] = []
    for (let n = 0; n < 5; n++) small.push((await mailer.send({ ...mail, to: `ada@small${n}.example` })).id)
    await expect
      .poll(async () => (await mailer.list({ status: 'sent' })).messages.length)
      .toBeGreaterThanOrEqual(3)
    expect(server.messages.filter(({ to }) => to[0]?.endsWith('ig.example')).length).toBeLessThanOrEqual(2)
    open()
    for (const id of [...many, ...small]) expect((await mailer.wait(id)).status).toBe('sent')
    expect(most).toBeLessThanOrEqual(2)
    expect(server.messages).toHaveLength(10)
  })

  it.each([1, 3])('limits the connections of two threads together to %i', async (connections) => {
    let open = 0
    let most = 0
    const server = await ScriptedServer.start({
      greeting: (_line, { socket }) => {
        most = Math.max(most, ++open)
        socket.once('close', () => open--)
        return '220 hello'
      },
      dot: async () => {
        await new Promise((resolve) => setTimeout(resolve, 40))
        return '250 2.0.0 taken'
      },
    })
    const mailer = await testMailer({
      transport: { url: `smtp://127.0.0.1:${server.port}`, connections },
      threads: 2,
    })
    for (const id of await bulk(mailer, 30)) expect((await mailer.wait(id)).status).toBe('sent')
    expect(most).toBeLessThanOrEqual(connections)
    expect(most).toBeGreaterThan(0)
  })

  it('sends fewer messages to a server that asks for it, and all of them in the end', async () => {
    let asked = 0
    const server = await ScriptedServer.start({
      mail: () => (++asked <= 12 ? '451 4.7.1 slow down' : '250 2.1.0 ok'),
      extensions: [],
    })
    const mailer = await testMailer({
      transports: { main: `smtp://127.0.0.1:${server.port}`, quiet: 'smtp://127.0.0.1:1' },
      retry: { baseDelay: 300, factor: 1, jitter: 'none', attempts: 20 },
    })
    const slowed = vi.fn()
    mailer.on('transport-slowed', slowed)
    for (const id of await bulk(mailer, 30)) expect((await mailer.wait(id)).status).toBe('sent')
    expect(slowed).toHaveBeenCalledWith({ transport: 'main', rate: expect.any(Number) })
    const [main, quiet] = (await mailer.stats()).transports
    expect(main?.rate).toBeLessThan(100)
    expect(quiet).not.toHaveProperty('rate')
    expect(server.messages).toHaveLength(30)
  })

  it('holds waiting messages while the server is unreachable, and sends them when it is back', async () => {
    const port = await freePort()
    const mailer = await testMailer({
      transport: { url: `smtp://127.0.0.1:${port}`, rate: 100, domainConcurrency: 2 },
      breaker: { probeDelay: 20, maxProbeDelay: 40 },
    })
    const open = new Promise((resolve) => mailer.once('breaker-open', resolve))
    const ids = await bulk(mailer, 20)
    await open
    const server = await ScriptedServer.start({}, port)
    for (const id of ids) expect((await mailer.wait(id)).status).toBe('sent')
    expect(server.messages).toHaveLength(20)
  })

  it('lets a waiting message be cancelled, and returns the others to the queue when the mailer closes', async () => {
    const { url, server } = await clockedServer()
    const queue = `sqlite:${await folderOf({})}/outbox.db`
    // One goes at once, and another one every two seconds: the fourth and the tenth have long to wait.
    const first = await testMailer({ transport: { url, rate: 0.5 }, queue })
    const ids = await bulk(first, 10)
    await expect.poll(() => server.messages.length).toBeGreaterThan(0)
    expect((await first.cancel(ids[3] ?? '')).status).toBe('cancelled')
    expect((await first.cancel(ids[9] ?? '')).status).toBe('cancelled')
    await first.close({ deadline: 0 })
    const second = await testMailer({ transport: { url, rate: 1_000 }, queue })
    const left = ids.filter((_, index) => index !== 3 && index !== 9)
    for (const id of left) expect((await second.wait(id)).status).toBe('sent')
    expect(server.messages).toHaveLength(8)
  })

  it('is validated', async () => {
    await expect(testMailer({ transport: { url: 'inbox:', rate: 0 } })).rejects.toMatchObject({
      code: 'INVALID_OPTIONS',
      path: 'transport.rate',
    })
    await expect(testMailer({ transport: { url: 'inbox:', connections: 1.5 } })).rejects.toMatchObject({
      path: 'transport.connections',
    })
  })
})
