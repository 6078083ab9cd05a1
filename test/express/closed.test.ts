import type { Auth } from 'threadpost/express'
import { describe, expect, test } from 'vitest'
import { api, json } from '../support/api.js'
import { folderOf } from '../support/folder.js'

const auth = {
  tokens: [
    { token: 'sender-token-1234', scopes: ['send'] },
    { token: 'trusted-sender-12', scopes: ['send', 'templates'] },
  ],
} satisfies Auth
const mjml = (text: string) =>
  `<mjml><mj-body><mj-section><mj-column><mj-text>${text}</mj-text></mj-column></mj-section></mj-body></mjml>`
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const SENDER = bearer('sender-token-1234')
const TRUSTED = bearer('trusted-sender-12')

/** Sources that read what belongs to the application, and the word that shows it. */
const READS: [what: string, source: string][] = [
  ['a global', '[{{@app.secret}}]'],
  ['a helper of the application', '[{{reveal "it"}}]'],
  ['a partial', '[{{> signature}}]'],
  ['an include', '[</mj-text><mj-include path="partials/signature.mjml" /><mj-text>]'],
  ['a layout', '{{#extend "frame"}}{{/extend}}'],
]

describe('MJML of a request', () => {
  const start = async () => {
    const dir = await folderOf({
      'helpers.js': 'export const reveal = () => "canary"',
      'partials/signature.mjml': '<mj-text>canary</mj-text>',
      'layouts/frame.mjml': 'canary',
    })
    return api({ auth }, { templates: { dir, globals: { secret: 'canary' } } })
  }
  const mailWith = (source: string) => ({ to: 'ada@example.com', subject: 'x', mjml: mjml(source), data: {} })

  test.each(READS)('shows %s only to a token with the scope templates', async (what, source) => {
    const { post, call, mailer, inbox } = await start()
    for (const mail of [mailWith(source), { ...mailWith(source), untrusted: false }]) {
      const { id } = (await post(mail, SENDER)).body as { id: string }
      const message = await mailer.wait(id)
      if (what === 'a global') expect(message.status).toBe('sent')
      else expect(message.attempts[0]).toMatchObject({ code: 'TEMPLATE_ERROR' })
    }
    const batch = await call('/messages/batch', json({ messages: [mailWith(source)] }, SENDER))
    await mailer.wait((batch.body as { results: { id: string }[] }).results[0]!.id)
    for (const { raw } of inbox.stored()) expect(Buffer.from(raw).toString()).not.toContain('canary')

    const received = inbox.stored().length
    if (what === 'a layout' || what === 'a partial') return
    const { id } = (await post(mailWith(source), TRUSTED)).body as { id: string }
    expect((await mailer.wait(id)).status).toBe('sent')
    expect(
      inbox
        .stored()
        .slice(received)
        .some(({ raw }) => Buffer.from(raw).includes('canary')),
    ).toBe(true)
  })

  test('can be kept apart by a program, too', async () => {
    const { mailer, inbox } = await start()
    const { status } = await mailer.sendAndWait({ ...mailWith('[{{@app.secret}}] x'), untrusted: true })
    expect(status).toBe('sent')
    expect((await inbox.waitFor()).text).toBe('[] x\n')
    await expect(
      mailer.send({ to: 'ada@example.com', subject: 'x', text: 'x', untrusted: true } as never),
    ).rejects.toMatchObject({ code: 'INVALID_MESSAGE', path: 'untrusted' })
  })
})

describe('a search of a token that sees no addresses', () => {
  const tokens = [
    { token: 'reader-token-1234', scopes: ['read'] as const },
    { token: 'manager-token-123', scopes: ['read', 'manage'] as const },
  ]
  const paths = ['/messages', '/dashboard/messages', '/dashboard/count', '/dashboard/export.csv']

  test('is refused where recipients are redacted, so that it can’t spell them out', async () => {
    const { call, mailer } = await api({ auth: { tokens } }, { redact: { recipients: true } })
    await mailer.send({ to: 'ada@example.com', subject: 'x', text: 'x' })
    for (const path of paths) {
      for (const q of ['ada@e', 'zzz'])
        expect((await call(`${path}?q=${q}`, { headers: bearer('reader-token-1234') })).status).toBe(403)
      expect((await call(`${path}?q=ada@e`, { headers: bearer('manager-token-123') })).status).toBe(200)
      expect((await call(path, { headers: bearer('reader-token-1234') })).status).toBe(200)
    }
  })

  test('works where they are not', async () => {
    const { call } = await api({ auth: { tokens } })
    for (const path of paths)
      expect((await call(`${path}?q=ada`, { headers: bearer('reader-token-1234') })).status).toBe(200)
  })
})

describe('a request with very long names and values', () => {
  const LONG = 200_000

  test('gets a short problem and never a 500', async () => {
    const { call, post } = await api()
    const long = 'x'.repeat(LONG)
    const base = { to: 'ada@example.com', subject: 'x', text: 'x' }
    const answers = await Promise.all([
      post({ ...base, [long]: 1 }),
      post({ ...base, to: `${long}@example.com` }),
      post({ ...base, to: `"${long}"@example.com` }),
      post({ ...base, to: { address: `a@${long}`, [long]: long } }),
      post({ ...base, headers: { [long]: long } }),
      post({ ...base, headers: { 'X-A': long } }),
      post({ ...base, attachments: [{ [long]: long }] }),
      post({ ...base, envelope: { [long]: long } }),
      post({ ...base, priority: long }),
      post({ ...base, transport: long }),
      post({ ...base, sendAt: long }),
      post({ ...base, calendar: { content: long, method: long } }),
      post({ to: base.to, template: long }),
      post({ to: base.to, template: 'a', data: { [long]: 1 }, locale: long }),
      post({ to: base.to, raw: long, envelope: { from: long, to: long } }),
      call('/messages/batch', json({ messages: [base], [long]: 1 })),
      call('/messages/batch', json({ messages: [{ ...base, [long]: 1 }] })),
      call('/templates/a/render', json({ [long]: long })),
      call('/login', json({ [long.slice(0, 9_000)]: 1 })),
      call(`/messages?${long.slice(0, 9_000)}=1`),
      call(`/messages?q=${long.slice(0, 9_000)}`),
      call(`/messages/${long.slice(0, 9_000)}`),
    ])
    for (const { status, body } of answers) {
      expect(status).toBeLessThan(500)
      expect(JSON.stringify(body).length).toBeLessThan(4_000)
    }
  })
})

test.each(['short-token', 'fifteen-letters'])(
  'a token of fewer than 16 characters is refused: %s',
  async (token) => {
    await expect(api({ auth: { tokens: [{ token, scopes: ['send'] }] } })).rejects.toMatchObject({
      code: 'INVALID_OPTIONS',
      path: 'auth.tokens[0].token',
      message: expect.stringContaining('16 characters') as string,
    })
  },
)
