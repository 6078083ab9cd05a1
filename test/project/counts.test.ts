// The cost of a message, in counts that are the same on every machine: a guard against a change that makes it dearer,
// without a clock. The figures in time are those of `threadpost bench`.
import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { MessagePort } from 'node:worker_threads'
import { Piscina } from 'piscina'
import type { Mailer } from 'threadpost'
import { expect, it, onTestFinished, vi } from 'vitest'
import { folderOf } from '../support/folder.js'
import { loadedScripts } from '../support/loadedScripts.js'
import { mailerWithInbox, testMailer } from '../support/mailer.js'
import { ScriptedServer } from '../support/scriptedServer.js'
import { turnServer } from '../support/turnServer.js'

const run = promisify(execFile)
const root = path.resolve(import.meta.dirname, '../..')
const MAIL = { to: 'ada@example.com', subject: 'Hello', text: 'Hello Ada' }

async function sendAtOnce(mailer: Mailer, count: number): Promise<void> {
  const receipts = await mailer.sendMany(Array.from({ length: count }, () => MAIL))
  await Promise.all(receipts.map((receipt) => mailer.wait((receipt as { id: string }).id)))
}

it('a message needs one round trip to the server, where most clients need two to four', async () => {
  const server = await turnServer()
  const mailer = await testMailer({
    transport: `smtp://127.0.0.1:${server.port}`,
    threads: 1,
    concurrency: 2,
  })
  const count = 40
  await sendAtOnce(mailer, count)
  expect(server.messages).toBe(count)
  // The greeting is no turn; EHLO is one for each connection, and so is the envelope of its first message.
  const turns = server.turns - 2 * server.connections
  expect(turns / count).toBeLessThanOrEqual(1.3)
})

it('a thread runs a single Piscina task, and its requests cross in batches', async () => {
  const tasks = vi.spyOn(Piscina.prototype, 'run')
  const crossings = vi.spyOn(MessagePort.prototype, 'postMessage')
  onTestFinished(() => void vi.restoreAllMocks())
  const { mailer } = await mailerWithInbox({ threads: 2, concurrency: 10 })
  crossings.mockClear()
  // As many as may be under way: all of them are asked for at once.
  await sendAtOnce(mailer, 20)
  // One message to each thread that is ready, and one more if main thread and thread happen to meet in the middle of it.
  expect(crossings).toHaveBeenCalled()
  expect(crossings.mock.calls.length).toBeLessThanOrEqual(4)
  await sendAtOnce(mailer, 200)
  expect(tasks).toHaveBeenCalledTimes(2)
})

it('the main thread copies none of the bytes that a load function returns', async () => {
  const templates = await folderOf({
    'a.mjml':
      '<mjml><mj-head><mj-title>Hi</mj-title></mj-head><mj-body><mj-section><mj-column><mj-text>Hi</mj-text></mj-column></mj-section></mj-body></mjml>',
    'a.load.mjs': `export const load = () => ({
      attachments: [{ filename: 'a.pdf', content: new Uint8Array(100_000) }],
    })`,
  })
  const crossings = { copied: 0, shared: 0 }
  const { postMessage, on } = MessagePort.prototype
  vi.spyOn(MessagePort.prototype, 'postMessage').mockImplementation(function (this: MessagePort, ...args) {
    countBytes(args[0], crossings)
    postMessage.apply(this, args)
  })
  vi.spyOn(MessagePort.prototype, 'on').mockImplementation(function (this: MessagePort, type, listener) {
    return on.call(this, type, (message: unknown) => {
      countBytes(message, crossings)
      listener(message)
    })
  })
  onTestFinished(() => void vi.restoreAllMocks())
  const { mailer } = await mailerWithInbox({ templates, threads: 1 })
  const count = 30
  await Promise.all(
    Array.from({ length: count }, () =>
      mailer.sendAndWait({ template: 'a', to: 'ada@example.com', data: {} }),
    ),
  )
  expect(crossings.copied).toBe(0)
  // To the main thread, and back.
  expect(crossings.shared).toBe(2 * count * 100_000)
})

/** Adds the bytes in a message between two threads: those that have memory of their own there, and those in shared memory. */
function countBytes(message: unknown, counts: { copied: number; shared: number }): void {
  if (message instanceof Uint8Array)
    counts[message.buffer instanceof SharedArrayBuffer ? 'shared' : 'copied'] += message.byteLength
  else if (typeof message === 'object' && message !== null)
    for (const value of Object.values(message)) countBytes(value, counts)
}

it('the main thread keeps one copy of an attachment', async () => {
  const server = await ScriptedServer.start({ dot: () => new Promise(() => undefined) })
  const mailer = await testMailer({ transport: `smtp://127.0.0.1:${server.port}`, threads: 1 })
  const size = 6 * 2 ** 20
  const content = Buffer.alloc(size, 'a line of text, to be sent\n')
  const before = bytesHeld()
  await mailer.send({ ...MAIL, attachments: [{ filename: 'a.txt', content }] })
  // Out of the caller's reach and on its way: the thread has it by now.
  await expect.poll(() => server.conversations[0]?.messages.length).toBe(1)
  expect((bytesHeld() - before) / size).toBeLessThan(1.5)
  for (const { socket } of server.conversations) socket.destroy()
})

/** Bytes of all buffers of this thread that are still in use. */
function bytesHeld(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  return process.memoryUsage().arrayBuffers
}

it('a single durable message needs two commits and few statements, and several messages share them', async () => {
  const file = path.join(await folderOf({}), 'outbox.db')
  const preload = new URL('../support/countStatements.mjs', import.meta.url).href
  const args = ['--import', preload, path.join(root, 'test/support/sendDurably.mjs'), file]
  const { stdout } = await run(process.execPath, args, { cwd: root })
  const { alone, many } = JSON.parse(stdout) as Record<
    'alone' | 'many',
    { statements: number; commits: number }
  >
  expect(alone.commits / 20).toBeLessThanOrEqual(2.5)
  // The statements of a commit, of the message, and of the ticks meanwhile: more of them on a slow machine.
  expect(alone.statements / 20).toBeLessThanOrEqual(40)
  // They are accepted together. How many of them are settled together depends on how fast they come back.
  expect(many.commits / 500).toBeLessThanOrEqual(1.2)
  expect(many.statements / 500).toBeLessThanOrEqual(15)
})

const FORBIDDEN =
  /node_modules\/(?:mjml|handlebars|html-to-text|express|zod|prom-client|helmet|bullmq|ioredis|pg|better-sqlite3|smtp-server|postal-mime|commander|@aws-sdk|@opentelemetry)/

it("import 'threadpost' loads few modules, and none that is not needed yet", async () => {
  const loaded = await loadedScripts({ code: "await import('threadpost')" })
  const scripts = loaded.scripts.filter((url) => url.startsWith('file:') || url.startsWith('/'))
  const ours = scripts.filter((url) => !url.includes('node_modules'))
  expect(scripts.filter((url) => FORBIDDEN.test(url))).toEqual([])
  expect(ours.length).toBeLessThanOrEqual(110)
  expect(scripts.length - ours.length).toBeLessThanOrEqual(40)
})
