import { describe, expect, test } from 'vitest'
import { serve } from '../support/serve.js'

const TOKEN = 'correct-horse-battery'

/** A request as a proxy passes it on. */
function ask(url: string, visitor: string, token: string): Promise<number> {
  return fetch(`${url}/mail/messages`, {
    headers: { authorization: `Bearer ${token}`, 'x-forwarded-for': visitor },
  }).then(({ status }) => status)
}

describe('failed logins', () => {
  test('of one visitor behind a trusted proxy lock out nobody else', async () => {
    const { url } = await serve({ THREADPOST_TOKEN: TOKEN, THREADPOST_TRUST_PROXY: '1' })
    for (let attempt = 0; attempt < 20; attempt++)
      await ask(url, '192.0.2.1', `wrong-token-${attempt}-of-many`)
    expect(await ask(url, '192.0.2.1', TOKEN)).toBe(429)
    expect(await ask(url, '192.0.2.2', TOKEN)).toBe(200)
    // The proxy appends the address that it saw; what the visitor claims comes before it.
    expect(await ask(url, '192.0.2.3, 192.0.2.1', TOKEN)).toBe(429)
  })

  test('count for the address of the connection without a trusted proxy', async () => {
    const { url } = await serve({ THREADPOST_TOKEN: TOKEN })
    for (let attempt = 0; attempt < 20; attempt++)
      await ask(url, `192.0.2.${attempt}`, `wrong-token-${attempt}`)
    expect(await ask(url, '198.51.100.1', TOKEN)).toBe(429)
  })
})
