import { expect, it } from 'vitest'
import { testInbox, testMailer } from '../support/mailer.js'
import { freePort } from '../support/ports.js'

const mail = { to: 'ada@example.com', subject: 'Hi', text: 'Hello' }

it('distributes messages by weight, and only among transports that work', async () => {
  const a = await testInbox({ keep: 1_000 })
  const b = await testInbox({ keep: 1_000 })
  const mailer = await testMailer({
    transports: { main: { spread: { a: 3, b: 1, never: 0 } }, a: a.url, b: b.url, never: a.url },
  })
  const receipts = await mailer.sendMany(Array.from({ length: 400 }, () => mail))
  for (const receipt of receipts) {
    const message = await mailer.wait('id' in receipt ? (receipt.id ?? '') : '')
    expect(message).toMatchObject({ status: 'sent', transport: 'main' })
    expect(['a', 'b']).toContain(message.attempts[0]?.transport)
  }
  expect(a.count + b.count).toBe(400)
  // 300 are expected; the bounds are ten standard deviations away.
  expect(a.count).toBeGreaterThan(213)
  expect(a.count).toBeLessThan(387)
  await mailer.pause({ transport: 'b' })
  const before = b.count
  for (const receipt of await mailer.sendMany(Array.from({ length: 40 }, () => mail)))
    expect((await mailer.wait('id' in receipt ? (receipt.id ?? '') : '')).status).toBe('sent')
  expect(b.count).toBe(before)
  expect((await mailer.stats()).transports.map(({ transport }) => transport)).toEqual(['a', 'b', 'never'])
  expect(await mailer.verify('main')).toMatchObject({ ok: true, transport: 'a' })
})

it('leaves out a transport whose server cannot be reached', async () => {
  const inbox = await testInbox({ keep: 1_000 })
  const mailer = await testMailer({
    transports: {
      main: { spread: { gone: 1, works: 1 } },
      gone: `smtp://127.0.0.1:${await freePort()}`,
      works: inbox.url,
    },
    breaker: { probeDelay: 1_000, maxProbeDelay: 60_000 },
  })
  for (const receipt of await mailer.sendMany(Array.from({ length: 60 }, () => mail)))
    expect((await mailer.wait('id' in receipt ? (receipt.id ?? '') : '')).status).toBe('sent')
  expect(inbox.count).toBe(60)
})

it.each([
  [{ main: { spread: { nobody: 1 } } }, 'transports.main.spread'],
  [{ main: { spread: { main: 1 } } }, 'transports.main.spread'],
  [{ main: { spread: {} } }, 'transports.main.spread'],
  [{ main: { spread: { a: -1 } }, a: 'smtp://mail.example' }, 'transports.main.spread.a'],
] as const)('refuses weights that lead nowhere: %j', async (transports, path) => {
  await expect(testMailer({ transports })).rejects.toMatchObject({ code: 'INVALID_OPTIONS', path })
})
