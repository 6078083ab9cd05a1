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
    const exited = once(server, 'exit')
    server.kill('SIGKILL')
    await exited
  })
  const [url] = (await once(server, 'message')) as [string]
  return url
}

/** Blocks this thread's event loop. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

describe('a transport under load', () => {
  it('uses one attempt for each message, although the event loop is blocked from time to time', async () => {
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
  })

  it('is not slowed down by a 421 that ends one connection', async () => {
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
  })
})

/**
 * Sends messages that would wait for minutes, at a rate of one in ten seconds, and then lifts the limit.
 * @param lift returns the mailer that delivers the messages
 */
async function lifts(
  queue: object | string,
  lift: (limited: Mailer, url: string) => Promise<Mailer>,
): Promise<void> {
  const server = await ScriptedServer.start()
  const url = `smtp://127.0.0.1:${server.port}`
  const limited = await testMailer({ transport: { url, rate: 0.1 }, queue: queue as 'memory' })
  const ids = await sendMany(limited, 60)
  while ((await limited.stats()).held < 50) await new Promise((resolve) => setTimeout(resolve, 10))
  const mailer = await lift(limited, url)
  for (const id of ids) expect((await mailer.wait(id)).status).toBe('sent')
  expect(server.messages).toHaveLength(60)
}

function liftsWithReload(queue: object | string): Promise<void> {
  return lifts(queue, async (limited, url) => {
    await limited.reload({ transport: url })
    return limited
  })
}

function liftsWithRestart(queue: object | string): Promise<void> {
  return lifts(queue, async (limited, url) => {
    await limited.close({ deadline: 0 })
    return testMailer({ transport: url, queue: queue as 'memory' })
  })
}

describe('messages held for a limit that is lifted', () => {
  it('are sent when reload() lifts it (memory)', () => liftsWithReload('memory'))
  it('are sent when reload() lifts it (sqlite)', async () =>
    liftsWithReload(`sqlite:${await folderOf({})}/outbox.db`))
  it('are sent by a mailer that is started without it (sqlite)', async () =>
    liftsWithRestart(`sqlite:${await folderOf({})}/outbox.db`))
})

describeWith(
  ['redis-server'],
  'messages in Redis held for a limit that is lifted',
  ({ 'redis-server': tool }) => {
    const redis = useRedis(tool)
    it('are sent when reload() lifts it', () => liftsWithReload(redis.place()))
    it('are sent by a mailer that is started without it', () => liftsWithRestart(redis.place()))
  },
)
