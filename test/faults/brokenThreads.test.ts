import { readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { explain, type Mailer, type Message } from 'threadpost'
import { describe, expect, it } from 'vitest'
import { expectAllSent, fine, page, queues } from '../support/brokenThreads.js'
import { folderOf } from '../support/folder.js'
import { mailerWithInbox } from '../support/mailer.js'

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

/** A mailer whose setup module breaks each thread, `times` times or until the file `broken` is removed. */
async function mailerThatBreaks(how: string, queue: (typeof queues)[number][1], times = '', limits = {}) {
  const folder = await folderOf({ 'templates/fine.mjml': page('{{hello name}}') })
  const setup = path.join(folder, 'setup.mjs')
  await writeFile(setup, setupThatBreaks(folder, how))
  const warnings: string[] = []
  const log = (_: object, message: string) => void warnings.push(message)
  const { mailer, inbox } = await mailerWithInbox({
    templates: { dir: path.join(folder, 'templates'), setup },
    queue: queue(folder),
    alerts: { interval: 50 },
    limits,
    logger: { debug: log, info: log, warn: log, error: log },
  })
  const events: Message['status'][] = []
  for (const status of ['failed', 'partial', 'expired'] as const) mailer.on(status, () => events.push(status))
  // Only now: a mailer whose threads break before it has started is refused with the reason.
  await writeFile(path.join(folder, 'broken'), times)
  return { mailer, inbox, folder, warnings, badEnds: events }
}

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

/** The mail of a mailer whose threads break is held, and is sent once they no longer do. */
async function expectMailHeld(kind: string, how: string, queue: (typeof queues)[number][1]): Promise<void> {
  const { mailer, inbox, folder, warnings, badEnds } = await mailerThatBreaks(how, queue)
  const alerts: string[] = []
  const cleared: string[] = []
  mailer.on('alert', ({ rule }) => alerts.push(rule))
  mailer.on('alert-cleared', ({ rule }) => cleared.push(rule))
  const { ids, held } = await sendUntilHeld(mailer)
  expect(held, kind).toMatchObject({ status: 'held', heldReason: 'setup' })
  expect(held.nextAttemptAt, kind).toBeDefined()
  expect(explain(held), kind).toMatch(/^Held because .*(the price list is gone|code:? 7).*automatically/)
  // Absent while a new thread has not failed yet.
  await expect
    .poll(async () => (await mailer.stats()).setup, { message: kind })
    .toMatchObject({ deaths: expect.any(Number) })
  expect(warnings, kind).toContainEqual(expect.stringMatching(/^Mail is held/))
  await expect.poll(() => alerts, { message: kind }).toContain('setup')
  await expect(mailer.render('fine', { name: 'x' }), kind).rejects.toMatchObject({ code: 'TEMPLATE_ERROR' })

  await rm(path.join(folder, 'broken'))
  await expectAllSent(mailer, inbox, ids)
  expect(badEnds, kind).toEqual([])
  await expect.poll(async () => (await mailer.stats()).setup, { message: kind }).toBeUndefined()
  await expect.poll(() => cleared, { message: kind }).toContain('setup')
}

describe.each(queues)('A setup module that breaks its thread 300 ms after startup, over %s,', (_, queue) => {
  it('holds the mail with the reason setup, says so, and costs no message', async () => {
    // At the same time, because each of them waits most of the time.
    await Promise.all(Object.entries(BREAKING).map(([kind, how]) => expectMailHeld(kind, how, queue)))
  })

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
      .poll(async () => (await readFile(path.join(folder, 'deaths'), 'utf8')).length)
      .toBeGreaterThanOrEqual(4)
    const more = await Promise.all(
      Array.from({ length: 20 }, (_, n) => mailer.send(fine(100 + n)).then(({ id }) => id)),
    )
    await expectAllSent(mailer, inbox, more)
    expect(badEnds).toEqual([])
  })
})

it('A setup module that starves each thread later costs no message', async () => {
  // It may still be starting then.
  const limits = { render: 1_000, start: 10_000 }
  const { mailer, inbox, folder, badEnds } = await mailerThatBreaks('for (;;);', () => 'memory', '', limits)
  const ids: string[] = []
  let died = false
  mailer.on('thread-died', () => (died = true))
  // A thread is watched only while it has a message.
  while (!died) {
    ids.push((await mailer.send(fine(ids.length))).id)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  await rm(path.join(folder, 'broken'))
  for (let n = 0; n < 20; n++) ids.push((await mailer.send(fine(ids.length))).id)
  await expectAllSent(mailer, inbox, ids)
  expect(badEnds).toEqual([])
})
