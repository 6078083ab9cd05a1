import { fork } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import type { Mailer } from 'threadpost'
import { describe, expect, it, onTestFinished } from 'vitest'
import { folderOf } from '../support/folder.js'
import { testMailer } from '../support/mailer.js'
import { useRedis } from '../support/redis.js'
import { ScriptedServer } from '../support/scriptedServer.js'
import { describeWith } from '../support/tools.js'

const mail = { to: 'ada@example.com', subject: 'Hi', text: 'Hello' }

async function sendMany(mailer: Mailer, count: number): Promise<string[]> {
  const receipts = await mailer.sendMany(Array.from({ length: count }, () => mail))
  return receipts.map((receipt) => ('id' in receipt ? (receipt.id ?? '') : ''))
}

/** A server in a process of its own, so that it answers while this one is blocked: 5 ms after each final dot. */
async function slowServer(): Promise<string> {
  const faults = JSON.stringify([{ at: 'dot', do: 'delay', ms: 5 }])
  const server = fork(path.resolve(import.meta.dirname, '../support/inboxProcess.mjs'), [faults])
  onTestFinished(async () => {
    const gone = once(server, 'exit')
    server.kill('SIGKILL')
    await gone
  })
  const [url] = (await once(server, 'message')) as [string]
  return url
}

/** Blocks this thread's event loop. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

describe('a rate limit under load', () => {
  it('uses one attempt for each message although the event loop is blocked now and then', async () => {
    const url = await slowServer()
    const mailer = await testMailer({
      transport: { url, rate: 300, connections: 4 },
      retry: { attempts: 1 },
    })
    const failed: unknown[] = []
    mailer.on('failed', ({ outcome }) => failed.push(outcome))
    const blocks = setInterval(() => block(40), 130)
    const ids = await sendMany(mailer, 900)
    const settled = await Promise.all(ids.map((id) => mailer.wait(id)))
    clearInterval(blocks)
    expect(failed).toEqual([])
    expect(settled.map(({ status, attempts }) => `${status} ${attempts.length}`)).toEqual(
      ids.map(() => 'sent 1'),
    )
  }, 120_000)

  it('one 421 that ends a connection does not slow the transport down', async () => {
    let replies = 0
    const server = await ScriptedServer.start({
      dot: () => (++replies === 3 ? '421 4.3.2 Shutting down' : '250 2.0.0 taken'),
    })
    const mailer = await testMailer({ transport: `smtp://127.0.0.1:${server.port}` })
    const events: string[] = []
    mailer.on('transport-slowed', () => events.push('slowed'))
    mailer.on('held', ({ heldReason }) => events.push(`held ${heldReason}`))
    const ids = await sendMany(mailer, 3_000)
    for (const id of ids) expect((await mailer.wait(id)).status).toBe('sent')
    expect(events).toEqual([])
    expect(replies).toBe(3_001)
  }, 60_000)
})

/** Its messages wait for minutes at a rate of one in ten seconds, and for less than that once the limit is lifted. */
async function liftsWithReload(queue: object | string): Promise<void> {
  const server = await ScriptedServer.start()
  const url = `smtp://127.0.0.1:${server.port}`
  const mailer = await testMailer({ transport: { url, rate: 0.1 }, queue: queue as 'memory' })
  const ids = await sendMany(mailer, 60)
  while ((await mailer.stats()).held < 50) await new Promise((resolve) => setTimeout(resolve, 10))
  await mailer.reload({ transport: url })
  for (const id of ids) expect((await mailer.wait(id)).status).toBe('sent')
  expect(server.messages).toHaveLength(60)
}

/** As above, but another mailer without a limit goes on with what the first one left. */
async function liftsWithRestart(queue: object | string): Promise<void> {
  const server = await ScriptedServer.start()
  const url = `smtp://127.0.0.1:${server.port}`
  const first = await testMailer({ transport: { url, rate: 0.1 }, queue: queue as 'memory' })
  const ids = await sendMany(first, 60)
  while ((await first.stats()).held < 50) await new Promise((resolve) => setTimeout(resolve, 10))
  await first.close({ deadline: 0 })
  const second = await testMailer({ transport: url, queue: queue as 'memory' })
  for (const id of ids) expect((await second.wait(id)).status).toBe('sent')
  expect(server.messages).toHaveLength(60)
}

describe('messages held for a limit that is lifted', () => {
  it('are sent when reload() lifts it (memory)', () => liftsWithReload('memory'), 60_000)
  it(
    'are sent when reload() lifts it (sqlite)',
    async () => liftsWithReload(`sqlite:${await folderOf({})}/outbox.db`),
    60_000,
  )
  it(
    'are sent by a mailer that is started without it (sqlite)',
    async () => liftsWithRestart(`sqlite:${await folderOf({})}/outbox.db`),
    60_000,
  )
})

describeWith(
  ['redis-server'],
  'messages in Redis held for a limit that is lifted',
  ({ 'redis-server': tool }) => {
    const redis = useRedis(tool)
    it('are sent when reload() lifts it', () => liftsWithReload(redis.place()), 60_000)
    it('are sent by a mailer that is started without it', () => liftsWithRestart(redis.place()), 60_000)
  },
)
