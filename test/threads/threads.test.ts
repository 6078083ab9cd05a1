import { describe, expect, it } from 'vitest'
import { folderOf } from '../support/folder.js'
import { mailerWithInbox } from '../support/mailer.js'

const HELPERS = `
export function exit(code) { process.exit(code) }
export function loop() { for (;;); }
export function hoard() { const all = []; for (;;) all.push(new Array(100_000).fill({})) }
export function late() { setTimeout(() => { throw new Error('late') }, 5); return '' }
export function fail() { throw new Error('helper says no') }
`

const wrap = (text: string): string =>
  `<mjml><mj-head><mj-title>t</mj-title></mj-head><mj-body><mj-section><mj-column><mj-text>${text}</mj-text></mj-column></mj-section></mj-body></mjml>`

const TEMPLATES = {
  'helpers.js': HELPERS,
  'exit0.mjml': wrap('{{exit 0}}'),
  'exit1.mjml': wrap('{{exit 1}}'),
  'loop.mjml': wrap('{{loop}}'),
  'hoard.mjml': wrap('{{hoard}}'),
  'late.mjml': wrap('{{late}}'),
  'fail.mjml': wrap('{{fail}}'),
  'fine.mjml': wrap('Hello {{name}}'),
}

/** Milliseconds and bytes: no template but the endless one and the hoarding one comes near them on any machine. */
const limits = { render: 2_000, threadMemory: 128 * 1024 * 1024 }

describe('a thread that dies', () => {
  it.each(['exit0', 'exit1', 'loop', 'hoard'])(
    'because of the helper in %s.mjml gives up its message as POISON, and all others arrive once',
    async (template) => {
      const templates = await folderOf(TEMPLATES)
      const { mailer, inbox } = await mailerWithInbox({ templates, limits })
      const died: string[] = []
      mailer.on('thread-died', ({ reason }) => died.push(reason))
      const poison = mailer.sendAndWait({ template, to: 'poison@example.com' })
      const fine = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          mailer.sendAndWait({
            template: 'fine',
            to: `user${index}@example.com`,
            data: { name: `N${index}` },
          }),
        ),
      )
      expect(await poison).toMatchObject({ status: 'failed', attempts: [{ code: 'POISON' }] })
      expect(fine.every(({ status, uncertain }) => status === 'sent' && !uncertain)).toBe(true)
      expect(
        inbox
          .stored()
          .map(({ envelope }) => envelope.to[0])
          .sort(),
      ).toEqual(Array.from({ length: 20 }, (_, index) => `user${index}@example.com`).sort())
      expect(died).toHaveLength(3)
      if (template === 'loop') expect(died[0]).toContain('2000 ms')
      expect((await mailer.stats()).threads).toHaveLength(1)
    },
  )

  it('because of a timer that one message left behind loses no message, and marks no other as POISON', async () => {
    const templates = await folderOf(TEMPLATES)
    const { mailer, inbox } = await mailerWithInbox(
      { templates, limits },
      { faults: [{ at: 'mail', do: 'delay', ms: 30 }] },
    )
    const late = mailer.send({ template: 'late', to: 'late@example.com' })
    const fine = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        mailer.sendAndWait({ template: 'fine', to: `user${index}@example.com`, data: { name: 'x' } }),
      ),
    )
    expect(fine.every(({ status }) => status === 'sent')).toBe(true)
    const settled = await mailer.wait((await late).id)
    expect(['sent', 'failed']).toContain(settled.status)
    const copies = inbox.stored().filter(({ envelope }) => envelope.to[0] !== 'late@example.com')
    expect(copies).toHaveLength(8)
  })

  it('while it sends a body leaves the message uncertain: it is sent again, and marked', async () => {
    const templates = await folderOf(TEMPLATES)
    const { mailer, inbox } = await mailerWithInbox(
      { templates, limits },
      { faults: [{ at: 'dot', do: 'silence-after', times: 1 }] },
    )
    const body = mailer.sendAndWait({ to: 'body@example.com', subject: 's', text: 't' })
    await inbox.waitFor({ to: 'body@example.com' })
    const poison = mailer.sendAndWait({ template: 'exit1', to: 'poison@example.com' })
    expect(await body).toMatchObject({
      status: 'sent',
      uncertain: true,
      attempts: [{ outcome: 'uncertain', code: 'THREAD_DIED' }, { outcome: 'sent' }],
    })
    expect(await poison).toMatchObject({ status: 'failed' })
    expect(inbox.stored().filter(({ envelope }) => envelope.to[0] === 'body@example.com')).toHaveLength(2)
  })

  it('during mailer.render() makes that call fail, and mail continues', async () => {
    const templates = await folderOf(TEMPLATES)
    const { mailer } = await mailerWithInbox({ templates, limits })
    const [render, message] = await Promise.allSettled([
      mailer.render('exit1'),
      mailer.sendAndWait({ template: 'fine', to: 'a@example.com', data: { name: 'x' } }),
    ])
    expect(render).toMatchObject({ status: 'rejected', reason: { code: 'TEMPLATE_ERROR' } })
    expect(message).toMatchObject({ status: 'fulfilled', value: { status: 'sent' } })
  })
})

describe('mailer.render()', () => {
  it('runs again if another message killed its thread, and releases its slot', async () => {
    const templates = await folderOf(TEMPLATES)
    const { mailer } = await mailerWithInbox({ templates, limits })
    const looping = mailer.sendAndWait({ template: 'loop', to: 'a@example.com' })
    await expect.poll(async () => (await mailer.stats()).sending).toBe(1)
    expect((await mailer.render('fine', { name: 'Ada' })).html).toContain('Hello Ada')
    expect((await mailer.render('fine', { name: 'Bob' })).html).toContain('Hello Bob')
    expect((await looping).status).toBe('failed')
  })
})

describe('a template that fails', () => {
  it('fails its message at once, with the location', async () => {
    const templates = await folderOf({ ...TEMPLATES, 'helperless.mjml': wrap('\n{{nohelper 1}}') })
    const { mailer, inbox } = await mailerWithInbox({ templates })
    const message = await mailer.sendAndWait({ template: 'fail', to: 'a@example.com' })
    expect(message).toMatchObject({ status: 'failed', attempts: [{ code: 'TEMPLATE_ERROR' }] })
    expect(message.attempts[0]?.message).toContain('helper says no')
    expect(inbox.count).toBe(0)
  })
})
