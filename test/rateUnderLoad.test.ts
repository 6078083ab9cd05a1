import { fork } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Mailer } from 'threadpost'
import { testMailer } from './support/mailer.js'
import { ScriptedServer } from './support/scriptedServer.js'

const mail = { to: 'ada@example.com', subject: 'Hi', text: 'Hello' }

async function sendMany(mailer: Mailer, count: number): Promise<string[]> {
  const receipts = await mailer.sendMany(Array.from({ length: count }, () => mail))
  return receipts.map((receipt) => ('id' in receipt ? (receipt.id ?? '') : ''))
}

/** A server in a process of its own, so that it answers while this one is blocked: 5 ms after each final dot. */
async function slowServer(): Promise<string> {
  const faults = JSON.stringify([{ at: 'dot', do: 'delay', ms: 5 }])
  const server = fork(path.resolve(import.meta.dirname, 'support/inboxProcess.mjs'), [faults])
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
    expect(settled.map(({ status, attempts }) => `${status} ${attempts.length}`)).toEqual(ids.map(() => 'sent 1'))
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
