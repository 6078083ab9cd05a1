import { expect, test } from 'vitest'
import { api, json } from '../support/api.js'

const auth = {
  tokens: [
    { token: 'reader-token-1234', scopes: ['read'] as const },
    { token: 'manager-token-123', scopes: ['read', 'manage'] as const },
  ],
}
const reader = { authorization: 'Bearer reader-token-1234' }
const manager = { authorization: 'Bearer manager-token-123' }

test('the list of suppressed addresses is kept over HTTP', async () => {
  const { call, mailer } = await api({ auth })
  const entry = { address: 'Ada@example.com', reason: 'manual', stream: 'news' }
  const added = await call('/suppressions', json(entry, manager))
  expect(added).toMatchObject({ status: 201, body: { address: 'ada@example.com', stream: 'news' } })
  const listed = await call('/suppressions?q=ada&reason=manual', { headers: reader })
  expect(listed.body).toEqual({ suppressions: [added.body] })
  expect((await call('/suppressions?limit=0', { headers: reader })).body).toMatchObject({ path: 'limit' })
  const gone = '/suppressions?address=ada%40example.com'
  expect((await call(`${gone}&reason=bounce`, { method: 'DELETE', headers: manager })).status).toBe(404)
  expect((await call(gone, { method: 'DELETE', headers: manager })).status).toBe(204)
  expect((await call(gone, { method: 'DELETE', headers: manager })).status).toBe(404)
  expect((await call('/suppressions', { method: 'DELETE', headers: manager })).body).toMatchObject({
    status: 400,
    path: 'address',
  })
  expect(await mailer.suppressions.has('ada@example.com', { stream: 'news' })).toBe(false)
})

test('only a manager changes the list of suppressed addresses', async () => {
  const { call } = await api({ auth })
  const entry = { address: 'ada@example.com', reason: 'manual' }
  expect((await call('/suppressions', json(entry, reader))).status).toBe(403)
  expect((await call('/suppressions', json(entry))).status).toBe(401)
  const remove = '/suppressions?address=ada%40example.com'
  expect((await call(remove, { method: 'DELETE', headers: reader })).status).toBe(403)
  expect((await call('/suppressions')).status).toBe(401)
  expect((await call('/suppressions', json({ address: 'x', reason: 'manual' }, manager))).body).toMatchObject(
    { status: 400, code: 'INVALID_MESSAGE', path: 'address' },
  )
})

test.each(['/suppressions', '/suppressions?q=ada', '/suppressions.csv'])(
  '%s needs the scope manage where recipients are redacted',
  async (path) => {
    const { call } = await api({ auth }, { redact: { recipients: true } })
    expect((await call(path, { headers: reader })).status).toBe(403)
    expect((await call(path, { headers: manager })).status).toBe(200)
  },
)

test('the list of suppressed addresses is exported and imported as CSV over HTTP', async () => {
  const { call } = await api({ auth })
  const csv = (body: string, type = 'text/csv') =>
    ({ method: 'POST', headers: { ...manager, 'content-type': type }, body }) as const
  const imported = await call(
    '/suppressions.csv',
    csv('address,reason\nada@example.com,bounce\nbad,bounce\n'),
  )
  expect(imported.body).toEqual({ added: 1, problems: [{ line: 3, problem: expect.any(String) }] })
  const exported = await call('/suppressions.csv', { headers: reader })
  expect(exported.headers.get('content-type')).toContain('text/csv')
  expect(exported.body).toMatch(/^address,.*\r\nada@example\.com,bounce,/)
  expect((await call('/suppressions.csv', csv('x', 'text/plain'))).status).toBe(415)
})
