import path from 'node:path'
import { explain, type Mailer, type MailerOptions } from 'threadpost'
import { describe, expect, test } from 'vitest'
import { folderOf } from '../support/folder.js'
import { mailerWithInbox, testInbox, testMailer } from '../support/mailer.js'

const wrap = (text: string): string =>
  `<mjml><mj-head><mj-title>For {{name}}</mj-title></mj-head><mj-body><mj-section><mj-column><mj-text>${text}</mj-text></mj-column></mj-section></mj-body></mjml>`

/** A template `a` with this load module, and a template `fine` without one. */
function templatesWith(load: string, text = '{{name}}'): Promise<string> {
  return folderOf({ 'a.mjml': wrap(text), 'a.load.mjs': load, 'fine.mjml': wrap('{{name}}') })
}

async function mailing(load: string, options: Partial<MailerOptions> = {}, text?: string) {
  return mailerWithInbox({ templates: await templatesWith(load, text), ...options })
}

const send = (mailer: Mailer, data: Record<string, string> = { id: '7' }) =>
  mailer.sendAndWait({ template: 'a', to: 'ada@example.com', data })

describe('The load function of a template', () => {
  test.each([1, 0])('adds data, names, a locale, and attachments, with %i threads', async (threads) => {
    const templates = await folderOf({
      'a.mjml': wrap('Hello {{name}}'),
      'a.fr.mjml': wrap('Bonjour {{name}} of {{team}}, {{@context.locale}}'),
      'a.load.mjs': `
        import { Readable } from 'node:stream'
        export const adds = ['name', 'team']
        export async function load({ id }, { context, app, signal, to }) {
          const user = await app.users.find(id)
          return {
            data: { name: user.name, team: app.team, aborted: signal.aborted },
            to: { name: user.name, address: to[0].address },
            locale: 'fr',
            attachments: [
              { filename: 'a.txt', content: 'text' },
              { filename: 'b.bin', content: new Uint8Array([0, 255]) },
              { filename: 'c.txt', content: Readable.from(['str', 'eam']) },
              { path: 'd.txt' },
            ],
          }
        }`,
      'setup.mjs': `export function setup(thread) {
        thread.app.users = { find: async (id) => ({ name: 'Ada ' + id }) }
      }`,
      'files/d.txt': 'file',
    })
    const { mailer, inbox } = await mailerWithInbox({
      threads,
      attachmentRoot: path.join(templates, 'files'),
      templates: { dir: templates, globals: { team: 'Blue' }, setup: path.join(templates, 'setup.mjs') },
    })
    expect(await send(mailer)).toMatchObject({ status: 'sent', subject: 'For Ada 7' })
    const mail = await inbox.waitFor({ to: 'ada@example.com' })
    expect(mail.html).toContain('Bonjour Ada 7 of Blue')
    expect(mail.headers.find(({ name }) => name.toLowerCase() === 'to')?.value).toBe(
      'Ada 7 <ada@example.com>',
    )
    const files = mail.attachments.map(({ filename, content }) => [filename, Buffer.from(content)])
    expect(files).toEqual([
      ['a.txt', Buffer.from('text')],
      ['b.bin', Buffer.from([0, 255])],
      ['c.txt', Buffer.from('stream')],
      ['d.txt', Buffer.from('file')],
    ])
  })

  test('cancels a message that it skips, with its reason', async () => {
    const { mailer, inbox } = await mailing(`export const load = () => ({ skip: 'account closed' })`)
    const message = await send(mailer)
    expect(message).toMatchObject({
      status: 'cancelled',
      attempts: [{ outcome: 'withdrawn', code: 'SKIPPED', message: 'account closed' }],
    })
    expect(explain(message)).toContain('account closed')
    expect(inbox.stored()).toEqual([])
  })

  test('defers the message when it fails, and fails it when the error is permanent', async () => {
    const { mailer } = await mailing(`
      export async function load({ id }) {
        if (id === 'gone') throw Object.assign(new Error('no such user'), { permanent: true })
        globalThis.failures = (globalThis.failures ?? 0) + 1
        if (globalThis.failures < 3) throw new Error('database down')
        return { data: { name: 'Ada' } }
      }`)
    const sent = await send(mailer)
    expect(sent.status).toBe('sent')
    expect(sent.attempts.map(({ code }) => code)).toEqual(['LOAD_FAILED', 'LOAD_FAILED', 'OK'])
    expect(sent.attempts[0]?.message).toContain('database down')
    const failed = await send(mailer, { id: 'gone' })
    expect(failed).toMatchObject({ status: 'failed', attempts: [{ code: 'LOAD_FAILED' }] })
  })

  test('is aborted after limits.load, and the message is deferred', async () => {
    const { mailer } = await mailing(
      `export async function load(data, { signal }) {
        if (globalThis.aborted) return { data: { name: 'Ada' } }
        signal.addEventListener('abort', () => { globalThis.aborted = true })
        await new Promise(() => {})
      }`,
      { limits: { load: 50 } },
    )
    const { status, attempts } = await send(mailer)
    expect([status, attempts.map(({ code }) => code)]).toEqual(['sent', ['LOAD_FAILED', 'OK']])
    expect(attempts[0]?.message).toContain('within 50 ms')
  })

  test.each(['memory', 'sqlite'] as const)(
    'runs once for all attempts of a message, on the queue %s',
    async (kind) => {
      const templates = await templatesWith(
        `export const load = () => ({
          data: { name: 'N' + Math.random() },
          attachments: [
            { filename: 'a.bin', content: new Uint8Array([1, 2, 3, Math.floor(Math.random() * 256)]) },
            { filename: 'b.bin', content: Buffer.alloc(100_000, String(Math.random())) },
          ],
        })`,
      )
      const inbox = await testInbox({
        faults: [{ at: 'dot', do: 'close-after', times: 2 }],
      })
      const queue = kind === 'memory' ? kind : `sqlite:${path.join(templates, 'outbox.db')}`
      const mailer = await testMailer({ transport: inbox.url, templates, queue })
      expect(await send(mailer)).toMatchObject({ status: 'sent', uncertain: true })
      const copies = await inbox.messages()
      expect(copies).toHaveLength(3)
      expect(new Set(copies.map(({ subject }) => subject)).size).toBe(1)
      for (const index of [0, 1])
        expect(new Set(copies.map(({ attachments }) => String(attachments[index]?.content))).size).toBe(1)
    },
  )

  test('sends the same bytes again when its thread dies after it handed them over', async () => {
    const { mailer, inbox } = await mailerWithInbox(
      {
        templates: await templatesWith(`export async function load({ id }) {
          if (id === 'exit') process.exit(3)
          return {
            data: { name: 'Ada' },
            attachments: [{ filename: 'a.bin', content: Buffer.alloc(100_000, String(Math.random())) }],
          }
        }`),
      },
      { faults: [{ at: 'dot', do: 'silence-after', times: 1 }] },
    )
    const sending = send(mailer)
    await inbox.waitFor({ to: 'ada@example.com' })
    await mailer.send({ template: 'a', to: 'bob@example.com', data: { id: 'exit' } })
    const { status, uncertain, attempts } = await sending
    expect([status, uncertain, attempts.map(({ code }) => code)]).toEqual([
      'sent',
      true,
      ['THREAD_DIED', 'OK'],
    ])
    const [first, second] = await inbox.messages()
    expect(Buffer.from(first?.attachments[0]?.content ?? [])).toHaveLength(100_000)
    expect(second?.attachments[0]?.content).toEqual(first?.attachments[0]?.content)
  })

  test('gives each message its own bytes, although many use the same memory', async () => {
    const { mailer, inbox } = await mailing(
      `export const load = ({ id }) => ({
        data: { name: id },
        attachments: [{ filename: 'a.bin', content: Buffer.alloc(100_000, id + '.') }],
      })`,
      { concurrency: 3 },
    )
    inbox.faults.set([{ at: 'dot', do: 'defer', times: 8 }])
    await Promise.all(Array.from({ length: 30 }, (_, id) => send(mailer, { id: String(id) })))
    const mails = await inbox.messages()
    expect(mails).toHaveLength(30)
    for (const { subject, attachments } of mails) {
      const id = subject?.replace('For ', '') ?? ''
      expect(
        Buffer.compare(Buffer.from(attachments[0]?.content ?? []), Buffer.alloc(100_000, `${id}.`)),
      ).toBe(0)
    }
  })

  test('is declared to add data, so that send() checks only the rest', async () => {
    const { mailer } = await mailing(
      `export const adds = ['name', 'order.total']\nexport const load = () => ({ data: { name: 'Ada', order: { total: 1 } } })`,
      {},
      '{{name}} {{order.total}} {{given}}',
    )
    await expect(send(mailer, {})).rejects.toMatchObject({ code: 'MISSING_DATA', paths: ['given'] })
    expect((await send(mailer, { given: 'x' })).status).toBe('sent')
  })

  test('sends nothing to an invalid address, and obeys safe mode', async () => {
    const load = `export const load = ({ id }) => ({ data: { name: 'Ada' }, to: id })`
    const { mailer, inbox } = await mailing(load, {
      safeMode: { redirectTo: 'safe@example.com', allow: ['ada@example.com'] },
    })
    const invalid = await send(mailer, { id: 'a@b\r\nRCPT TO:<x@y.example>' })
    expect(invalid).toMatchObject({ status: 'failed', attempts: [{ code: 'LOAD_FAILED' }] })
    const other = await send(mailer, { id: 'Customer <customer@example.com>' })
    expect(other).toMatchObject({
      status: 'sent',
      recipients: [{ address: 'customer@example.com', status: 'sent' }],
    })
    expect(inbox.stored().map(({ envelope }) => envelope.to)).toEqual([['safe@example.com']])
  })

  test.each([
    ['a number', '42'],
    ['an unknown field', '({ dta: {} })'],
    ['data that is a list', '({ data: [1] })'],
    ['data that is circular', '(() => { const data = {}; data.data = data; return { data } })()'],
    ['an empty reason to skip', "({ skip: ' ' })"],
    ['attachments without content', "({ attachments: [{ filename: 'a.txt' }] })"],
    ['an attachment with a path in its name', "({ attachments: [{ filename: '../a', content: '' }] })"],
    ['a file outside attachmentRoot', "({ attachments: [{ path: '/etc/passwd' }] })"],
    ['a locale that is none', "({ locale: 'a b' })"],
  ])('fails the message if it returns %s', async (_, value) => {
    const { mailer } = await mailing(`export const load = () => ${value}`, { threads: 0 })
    expect(await send(mailer)).toMatchObject({ status: 'failed', attempts: [{ code: 'LOAD_FAILED' }] })
  })

  test.each([
    ['a text', "{ data: { v: 'x'.repeat(200_000) } }"],
    ['many values', '{ data: { v: new Array(1e8) } }'],
    ['many recipients', "{ to: Array.from({ length: 50_000 }, () => 'a@example.com') }"],
    ['the content of a file', "{ attachments: [{ filename: 'a', content: new Uint8Array(200_000) }] }"],
    ['files together', "{ attachments: [1, 2].map(() => ({ filename: 'a', content: 'x'.repeat(60_000) })) }"],
    [
      'a stream without an end',
      "{ attachments: [{ filename: 'a', content: (async function* () { for (;;) yield new Uint8Array(1_000) })() }] }",
    ],
  ])('reads no more than limits.message of %s', async (_, value) => {
    const { mailer } = await mailing(`export const load = () => (${value})`, { limits: { message: 100_000 } })
    const { status, attempts } = await send(mailer)
    expect([status, attempts[0]?.code]).toEqual(['failed', 'LOAD_FAILED'])
    expect(attempts[0]?.message).toContain('it is larger than 100000 bytes (limits.message)')
  })

  test.each([
    ['loops at once', 'POISON', 'for (;;);'],
    ['loops after an await', 'POISON', 'await new Promise((r) => setTimeout(r, 5)); for (;;);'],
    ['exits', 'POISON', 'await null; process.exit(3)'],
    [
      'throws from a timer',
      'POISON',
      "setTimeout(() => { throw new Error('late') }); await new Promise(() => {})",
    ],
    ['rejects unheard', 'POISON', "Promise.reject(new Error('unheard')); await new Promise(() => {})"],
    [
      'leaks until the thread has no memory left',
      'POISON',
      'const kept = []; for (;;) { kept.push(new Array(1_000_000).fill(0.5)); await new Promise(setImmediate) }',
    ],
    ['throws', 'LOAD_FAILED', "throw Object.assign(new Error('gone'), { permanent: true })"],
    ['returns garbage', 'LOAD_FAILED', 'return () => Symbol()'],
  ])('affects no other message when it %s', async (_, failure, code) => {
    const { mailer, inbox } = await mailing(
      `export async function load({ id }) {
        if (id === 'bad') { ${code} }
        await new Promise((resolve) => setTimeout(resolve, 2))
        return { data: { name: 'Ada' } }
      }`,
      { limits: { render: 300, threadMemory: 192 * 2 ** 20 } },
    )
    const good = (n: number) => ({ template: 'a', to: `user${n}@example.com`, data: { id: 'good' } })
    // The modules that all messages need are loaded first: while modules load, a thread may be blocked for longer.
    await mailer.sendAndWait(good(9))
    const [bad, ...others] = await Promise.all([
      send(mailer, { id: 'bad' }),
      ...Array.from({ length: 4 }, (_, n) => mailer.sendAndWait(good(n) as never)),
      mailer.sendAndWait({ template: 'fine', to: 'fine@example.com', data: { name: 'x' } }),
    ])
    expect(bad.status).toBe('failed')
    // It may be held in between, while no thread lives long enough.
    expect(bad.attempts.filter(({ counted }) => counted)).toMatchObject([{ code: failure }])
    expect(others.map(({ status, uncertain }) => [status, uncertain])).toEqual(
      others.map(() => ['sent', false]),
    )
    expect(others.every(({ attempts }) => attempts.length === 1)).toBe(true)
    expect(inbox.stored()).toHaveLength(others.length + 1)
  })
})
