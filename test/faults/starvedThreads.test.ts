import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { PhaseBoard } from '../../src/protocol/phaseBoard.js'
import { PulseBoard } from '../../src/protocol/pulseBoard.js'
import { Watchdog } from '../../src/threads/watchdog.js'
import { expectAllSent, fine, page, queues } from '../support/brokenThreads.js'
import { folderOf } from '../support/folder.js'
import { mailerWithInbox } from '../support/mailer.js'

/** Each starves its thread outside of rendering, or leaves something behind that does. */
const STARVING = {
  'endless process.nextTick': '(function again() { process.nextTick(again) })()',
  'endless microtasks': '(function again() { queueMicrotask(again) })()',
  'an endless await loop': '(async () => { for (;;) await null })()',
  'a loop in setImmediate': 'setImmediate(() => { for (;;); })',
  'a loop in a later timer': 'setTimeout(() => { for (;;); }, 20)',
}

describe('A helper that starves its thread', () => {
  // The queue decides what is stored, and not which thread ends: each takes turns.
  const cases = Object.entries(STARVING).flatMap(([kind, code], n) =>
    queues.slice(n % 2, (n % 2) + 1).map(([name, queue]) => ({ kind, code, name, queue })),
  )

  it.each(cases)(
    'by $kind is stopped: its message is POISON, and 200 others arrive, over $name',
    async ({ code, queue }) => {
      const folder = await folderOf({
        'templates/helpers.js': `export function starve() { ${code}; return '' }
          export const hello = (name) => 'Hello ' + name`,
        'templates/starve.mjml': page('{{starve}}'),
        'templates/fine.mjml': page('{{hello name}}'),
      })
      const { mailer, inbox } = await mailerWithInbox(
        { templates: path.join(folder, 'templates'), queue: queue(folder), limits: { render: 1_000 } },
        // The message has to be in its envelope still when its timer fires, however late that is.
        { keep: 1_000, faults: [{ at: 'rcpt', do: 'silence', to: 'poison@*' }] },
      )
      const poison = await mailer.send({ template: 'starve', to: 'poison@example.com' })
      const ids = await Promise.all(
        Array.from({ length: 200 }, (_, n) => mailer.send(fine(n)).then(({ id }) => id)),
      )
      expect(await mailer.wait(poison.id)).toMatchObject({
        status: 'failed',
        attempts: [{ code: 'POISON' }],
      })
      await expectAllSent(mailer, inbox, ids)
      expect(inbox.stored().filter(({ envelope }) => envelope.to[0] === 'poison@example.com')).toEqual([])
    },
  )
})

/** Watches a thread that gives no sign of life. @returns the number of looks after which it is terminated */
function looksUntilTerminated(look: (looks: number, pulses: PulseBoard) => void): Promise<number> {
  const board = new PhaseBoard(PhaseBoard.allocate(1, 1), 1)
  const pulses = new PulseBoard(PulseBoard.allocate(1))
  let looks = 0
  return new Promise((resolve) => {
    const watchdog = new Watchdog(board, pulses, {
      compile: 1_000,
      render: 100,
      task: 60_000,
      start: 60_000,
      threadsToWatch: () => {
        look(++looks, pulses)
        return [{ thread: 1, place: 0, ready: true }]
      },
      terminate: () => {
        watchdog.stop()
        resolve(looks)
      },
    })
    watchdog.watch(0)
  })
}

/** The fewest looks, which are 25 ms apart, at a thread that takes all of its time: 100 ms for rendering, and 2 s for other work. A gap counts as two. */
const LOOKS = 2_100 / 50

it('A main thread that is blocked, or a machine that is suspended, is no reason to end a thread', async () => {
  const terminated = looksUntilTerminated(() => undefined)
  const until = performance.now() + 3_000
  while (performance.now() < until);
  expect(await terminated).toBeGreaterThanOrEqual(LOOKS)
})

it('A thread that has loaded something for long may take as long as any other until its next sign of life', async () => {
  const end = 4 * LOOKS
  const terminated = looksUntilTerminated((looks, pulses) => {
    if (looks === 1) pulses.load(0, 1)
    if (looks === end) pulses.load(0, -1)
  })
  expect(await terminated).toBeGreaterThanOrEqual(end + LOOKS)
})
