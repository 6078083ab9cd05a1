import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import Sqlite from 'better-sqlite3'
import { expect, it, onTestFinished } from 'vitest'
import { api, json } from '../support/api.js'
import { testInbox } from '../support/mailer.js'
import { mailerOn, outboxFile } from '../support/outbox.js'

const CANARY = 'canary-8d21@bücher.example'
const A_LABEL = 'canary-8d21@xn--bcher-kva.example'

it.each([
  ['clear', {}],
  ['encrypted', { encryption: { keys: [Buffer.alloc(32, 1).toString('base64')] } }],
])('an address is erased from a queue in SQLite, %s, and from the bytes of its files', async (_, extra) => {
  const file = await outboxFile()
  const inbox = await testInbox()
  const mailer = await mailerOn(file, { transport: inbox.url, queue: { url: `sqlite:${file}`, ...extra } })
  const mail = { to: CANARY, subject: `Hello ${CANARY}`, text: `Dear ${CANARY}`, metadata: { email: CANARY } }
  const { id: sent } = await mailer.sendAndWait(mail)
  const reader = new Sqlite(file, { readonly: true })
  onTestFinished(() => void reader.close())
  reader.exec("CREATE VIRTUAL TABLE temp.terms USING fts5vocab('main', 'search', 'row')")
  const indexed = (): unknown =>
    reader.prepare("SELECT count(*) FROM temp.terms WHERE term = '8d2'").pluck().get()
  if (!('encryption' in extra)) await expect.poll(indexed).toBe(1)
  await mailer.pause()
  const { id: waiting } = await mailer.send({ ...mail, idempotencyKey: `key-${CANARY}` })
  const { id: shared } = await mailer.send({ to: [CANARY, 'bob@example.com'], subject: 'Hi', text: 'Hi' })
  await mailer.suppressions.add({ address: CANARY, reason: 'manual' })
  await expect(mailer.erase('no address')).rejects.toMatchObject({ code: 'INVALID_MESSAGE', path: 'address' })

  const none = { cancelled: 0, inProgress: 0, unreadable: 0, schedules: 0, webhookEvents: 0 }
  expect(await mailer.erase(A_LABEL.toUpperCase())).toEqual({ ...none, messages: 3, cancelled: 1 })
  expect(await mailer.suppressions.has(CANARY)).toBe(true)
  expect(await mailer.erase(CANARY, { suppressions: true, by: 'ops' })).toEqual({ ...none, messages: 0 })
  expect(await mailer.suppressions.has(CANARY)).toBe(false)
  expect((await mailer.find(sent))?.status).toBe('sent')
  expect((await mailer.find(waiting))?.status).toBe('cancelled')
  expect((await mailer.find(shared))?.to).toEqual([{ address: 'bob@example.com' }])
  expect(await mailer.preview(waiting)).toEqual({ kept: false })
  expect(await mailer.monitoring.auditLog()).toContainEqual(
    expect.objectContaining({ by: 'ops', action: 'erased an address' }),
  )
  await mailer.resume()
  expect((await mailer.wait(shared)).recipients).toMatchObject([
    { address: 'bob@example.com', status: 'sent' },
  ])

  const folder = path.dirname(file)
  const remains = async (): Promise<boolean> => {
    const names = await readdir(folder)
    const bytes = await Promise.all(names.map((name) => readFile(path.join(folder, name))))
    return bytes.some((each) => each.toString('latin1').toLowerCase().includes('canary-8d21'))
  }
  await expect.poll(indexed).toBe(0)
  await expect.poll(remains).toBe(false)
})

it('an address is erased over HTTP, with the scope manage', async () => {
  const auth = {
    tokens: [
      { token: 'reader-token-1234', scopes: ['read'] as const },
      { token: 'manager-token-123', scopes: ['read', 'manage'] as const, name: 'ops' },
    ],
  }
  const { call, mailer } = await api({ auth })
  const headers = { authorization: 'Bearer manager-token-123' }
  await mailer.sendAndWait({ to: CANARY, subject: 'Hello', text: 'Hello' })
  const refused = await call(
    '/erase',
    json({ address: CANARY }, { authorization: 'Bearer reader-token-1234' }),
  )
  expect(refused.status).toBe(403)
  expect(await call('/erase', json({ address: 'x' }, headers))).toMatchObject({
    status: 400,
    body: { path: 'address' },
  })
  expect(await call('/erase', json({ address: CANARY }, headers))).toMatchObject({
    status: 200,
    body: { messages: 1, cancelled: 0, inProgress: 0, unreadable: 0 },
  })
  expect(await mailer.monitoring.auditLog()).toMatchObject([{ by: 'ops', action: 'erased an address' }])
  const list = await call('/messages', { headers })
  expect(list.body).toMatchObject({
    messages: [{ status: 'sent', erased: true, to: [{ address: 'erased@invalid' }] }],
  })
})
