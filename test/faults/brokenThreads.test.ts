import { readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { explain, type Mailer, type Message, type QueueOptions } from 'threadpost'
import type { Inbox } from 'threadpost/testing'
import { describe, expect, it } from 'vitest'
import { PhaseBoard } from '../../src/protocol/phaseBoard.js'
import { PulseBoard } from '../../src/protocol/pulse.js'
import { Watchdog } from '../../src/threads/watchdog.js'
import { folderOf } from '../support/folder.js'
import { mailerWithInbox } from '../support/mailer.js'

const page = (text: string): string =>
  `<mjml><mj-head><mj-title>t</mj-title></mj-head><mj-body><mj-section><mj-column><mj-text>${text}</mj-text></mj-column></mj-section></mj-body></mjml>`

/** Breaks its thread 300 ms after startup, as a connection does, for as long as the file `broken` exists. */
const setupThatBreaks = (folder: string, how: string): string => `
import { EventEmitter } from 'node:events'
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
const file = (name) => ${JSON.stringify(folder)} + '/' + name
export function setup({ helper }) {
  helper('hello', (name) => 'Hello ' + name)
  const connection = new EventEmitter()
  setInterval(() => {
    if (!existsSync(file('broken'))) return
    appendFileSync(file('deaths'), 'x')
    const left = Number(readFileSync(file('broken'), 'utf8') || Infinity)
    if (readFileSync(file('deaths'), 'utf8').length > left) return
    ${how}
  }, 300)
}`

const BREAKING = {
  'a throw in a timer': "throw new Error('the price list is gone')",
  'an unhandled rejection in a timer': "void Promise.reject(new Error('the price list is gone'))",
  "an unhandled 'error' event": "connection.emit('error', new Error('the price list is gone'))",
  'an exit from a timer': 'process.exit(7)',
}

const queues: [string, (folder: string) => string | QueueOptions][] = [
  ['memory', () => 'memory'],
  ['sqlite', (folder) => `sqlite:${folder}/outbox.db`],
]

/** A mailer whose setup module breaks each thread, `times` times or until the file `broken` is removed. */
async function mailerThatBreaks(how: string, queue: (typeof queues)[number][1], times = '') {
  const folder = await folderOf({ 'templates/fine.mjml': page('{{hello name}}') })
  const setup = path.join(folder, 'setup.mjs')
  await writeFile(setup, setupThatBreaks(folder, how))
  const warnings: string[] = []
  const log = (_: object, message: string) => void warnings.push(message)
  const { mailer, inbox } = await mailerWithInbox({
    templates: { dir: path.join(folder, 'templates'), setup },
    queue: queue(folder),
    alerts: { interval: 50 },
    logger: { debug: log, info: log, warn: log, error: log },
  })
  const events: Message['status'][] = []
  for (const status of ['failed', 'partial', 'expired'] as const) mailer.on(status, () => events.push(status))
  // Only now: a mailer whose threads break before it has started is refused with the reason.
  await writeFile(path.join(folder, 'broken'), times)
  return { mailer, inbox, folder, warnings, badEnds: events }
}

const fine = (n: number) => ({ template: 'fine', to: `user${n}@example.com`, data: { name: `N${n}` } })

/** Sends one message after the other until one is held because of the setup. */
async function sendUntilHeld(mailer: Mailer): Promise<{ ids: string[]; held: Message }> {
  const ids: string[] = []
  const held = new Promise<string>((resolve) => {
    mailer.on('held', ({ id, heldReason }) => {
      if ((heldReason as string) === 'setup') resolve(id)
    })
  })
  let over = false
  void held.then(() => (over = true))
  while (!over) {
    ids.push((await mailer.send(fine(ids.length))).id)
    await Promise.race([held, new Promise((resolve) => setTimeout(resolve, 50))])
  }
  const message = await mailer.find(await held)
  if (message === undefined) throw new Error('the held message is gone')
  return { ids, held: message }
}

/** Each message was sent; whatever arrived twice is marked. */
async function expectAllSent(mailer: Mailer, inbox: Inbox, ids: string[]): Promise<void> {
  const messages = await Promise.all(ids.map((id) => mailer.wait(id, { timeout: 90_000 })))
  expect(messages.map(({ status }) => status)).toEqual(ids.map(() => 'sent'))
  for (const { recipients, uncertain } of messages) {
    const copies = inbox.stored().filter(({ envelope }) => envelope.to[0] === recipients[0]?.address).length
    if (uncertain) expect(copies).toBeGreaterThanOrEqual(1)
    else expect(copies).toBe(1)
  }
}

describe.each(queues)('A setup module that breaks its thread 300 ms after startup, over %s,', (_, queue) => {
  it.each(Object.entries(BREAKING))(
    'by %s holds the mail with the reason setup, says so, and costs no message',
    async (_, how) => {
      const { mailer, inbox, folder, warnings, badEnds } = await mailerThatBreaks(how, queue)
      const alerts: string[] = []
      const cleared: string[] = []
      mailer.on('alert', ({ rule }) => alerts.push(rule))
      mailer.on('alert-cleared', ({ rule }) => cleared.push(rule))
      const { ids, held } = await sendUntilHeld(mailer)
      expect(held).toMatchObject({ status: 'held', heldReason: 'setup' })
      expect(held.nextAttemptAt).toBeDefined()
      expect(explain(held)).toMatch(/^Held because .*automatically/)
      expect((await mailer.stats()).setup).toMatchObject({ deaths: expect.any(Number) })
      expect(warnings.some((line) => line.startsWith('Mail is held'))).toBe(true)
      await expect.poll(() => alerts, { timeout: 20_000 }).toContain('setup')
      await expect(mailer.render('fine', { name: 'x' })).rejects.toMatchObject({ code: 'TEMPLATE_ERROR' })

      await rm(path.join(folder, 'broken'))
      await expectAllSent(mailer, inbox, ids)
      expect(badEnds).toEqual([])
      await expect.poll(async () => (await mailer.stats()).setup, { timeout: 20_000 }).toBeUndefined()
      await expect.poll(() => cleared, { timeout: 20_000 }).toContain('setup')
    },
    120_000,
  )

  it('recovers by itself after three deaths, and the mail goes out', async () => {
    const { mailer, inbox, folder, badEnds } = await mailerThatBreaks(
      BREAKING['a throw in a timer'],
      queue,
      '3',
    )
    const ids = await Promise.all(
      Array.from({ length: 100 }, (_, n) => mailer.send(fine(n)).then(({ id }) => id)),
    )
    await expectAllSent(mailer, inbox, ids)
    await expect
      .poll(async () => (await readFile(path.join(folder, 'deaths'), 'utf8')).length, { timeout: 60_000 })
      .toBeGreaterThanOrEqual(4)
    const more = await Promise.all(
      Array.from({ length: 20 }, (_, n) => mailer.send(fine(100 + n)).then(({ id }) => id)),
    )
    await expectAllSent(mailer, inbox, more)
    expect(badEnds).toEqual([])
  }, 120_000)
})

it('A setup that fails in a replaced thread holds the mail and uses up no attempt', async () => {
  const folder = await folderOf({
    'templates/fine.mjml': page('{{hello name}}'),
    'setup.mjs': `import { existsSync } from 'node:fs'
      export const setup = ({ helper }) => {
        if (existsSync(new URL('down', import.meta.url))) throw new Error('the price list is away')
        helper('hello', (name) => { if (name === 'exit') process.exit(1); return name })
      }`,
  })
  const { mailer } = await mailerWithInbox({
    templates: { dir: path.join(folder, 'templates'), setup: path.join(folder, 'setup.mjs') },
    retry: { attempts: 1 },
  })
  await writeFile(path.join(folder, 'down'), '')
  const held = new Promise<string>((resolve) => {
    mailer.on('held', ({ id, heldReason }) => {
      if ((heldReason as string) === 'setup') resolve(id)
    })
  })
  const poison = await mailer.send({ ...fine(0), data: { name: 'exit' } })
  const innocent = await mailer.send(fine(1))
  const message = await mailer.find(await held)
  expect(message?.attempts.filter(({ counted }) => counted)).toEqual([])
  await rm(path.join(folder, 'down'))
  expect(await mailer.wait(innocent.id, { timeout: 60_000 })).toMatchObject({ status: 'sent' })
  expect(await mailer.wait(poison.id, { timeout: 60_000 })).toMatchObject({
    status: 'failed',
    attempts: expect.arrayContaining([expect.objectContaining({ code: 'POISON' })]),
  })
}, 120_000)

/** Each starves its thread outside of rendering, or leaves something behind that does. */
const STARVING = {
  'endless process.nextTick': '(function again() { process.nextTick(again) })()',
  'endless microtasks': '(function again() { queueMicrotask(again) })()',
  'an endless await loop': '(async () => { for (;;) await null })()',
  'a loop in setImmediate': 'setImmediate(() => { for (;;); })',
  'a loop in a later timer': 'setTimeout(() => { for (;;); }, 20)',
}

describe.each(queues)('A helper that starves its thread, over %s,', (_, queue) => {
  it.each(Object.entries(STARVING))(
    'by %s is stopped: its message is POISON, and 200 others arrive',
    async (_, code) => {
      const folder = await folderOf({
        'templates/helpers.js': `export function starve() { ${code}; return '' }
          export const hello = (name) => 'Hello ' + name`,
        'templates/starve.mjml': page('{{starve}}'),
        'templates/fine.mjml': page('{{hello name}}'),
      })
      const { mailer, inbox } = await mailerWithInbox(
        { templates: path.join(folder, 'templates'), queue: queue(folder), limits: { render: 1_000 } },
        // The message has to be under way still when its timer fires.
        { keep: 1_000, faults: [{ at: 'mail', do: 'delay', ms: 60 }] },
      )
      const poison = await mailer.send({ template: 'starve', to: 'poison@example.com' })
      const ids = await Promise.all(
        Array.from({ length: 200 }, (_, n) => mailer.send(fine(n)).then(({ id }) => id)),
      )
      expect(await mailer.wait(poison.id, { timeout: 90_000 })).toMatchObject({
        status: 'failed',
        attempts: [{ code: 'POISON' }],
      })
      await expectAllSent(mailer, inbox, ids)
      expect(inbox.stored().filter(({ envelope }) => envelope.to[0] === 'poison@example.com')).toEqual([])
    },
    150_000,
  )
})

it('A setup module that starves each thread later costs no message', async () => {
  const { mailer, inbox, folder, badEnds } = await mailerThatBreaks('for (;;);', () => 'memory')
  const ids: string[] = []
  for (let n = 0; n < 20; n++) ids.push((await mailer.send(fine(n))).id)
  await new Promise<void>((resolve) => mailer.on('thread-died', () => resolve()))
  await rm(path.join(folder, 'broken'))
  for (let n = 20; n < 40; n++) ids.push((await mailer.send(fine(n))).id)
  await expectAllSent(mailer, inbox, ids)
  expect(badEnds).toEqual([])
}, 120_000)

it('A main thread that is blocked, or a machine that is suspended, is no reason to end a thread', async () => {
  const board = new PhaseBoard(PhaseBoard.allocate(1, 1), 1)
  const pulses = new PulseBoard(PulseBoard.allocate(1))
  let looks = 0
  const ended = new Promise<number>((resolve) => {
    const watchdog = new Watchdog(board, pulses, {
      render: 100,
      task: 60_000,
      start: 60_000,
      threadsToWatch: () => {
        looks++
        return [{ thread: 1, place: 0, ready: true }]
      },
      terminate: () => {
        watchdog.stop()
        resolve(looks)
      },
    })
    watchdog.watch(0)
  })
  // Longer than all that a thread may take: 100 ms for rendering, and 2 s for what is not a template's.
  const until = performance.now() + 3_000
  while (performance.now() < until);
  // A gap counts as two looks at most, which are 25 ms apart.
  expect(await ended).toBeGreaterThanOrEqual(2_100 / 50)
}, 60_000)
