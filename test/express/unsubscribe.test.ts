import express from 'express'
import { createMailer } from 'threadpost'
import { unsubscribeRouter } from 'threadpost/express'
import { describe, expect, it } from 'vitest'
import { callAt, listen } from '../support/api.js'
import { folderOf } from '../support/folder.js'
import { mailerWithInbox, testMailer } from '../support/mailer.js'

const SECRET = 'a-secret-of-sixteen-or-more'
const NEWS = { to: 'ada@example.com', subject: 'News', text: 'News', stream: 'newsletter' } as const
const WELCOME =
  '<mjml><mj-head><mj-title>Hallo</mj-title></mj-head><mj-body><mj-section><mj-column><mj-text>Hallo</mj-text></mj-column></mj-section></mj-body></mjml>'

/** A mailer, and the page to which its links lead. */
async function site(secret: string | string[] = SECRET, options: object = {}) {
  const { mailer, inbox } = await mailerWithInbox({
    unsubscribe: { url: 'https://acme.example/unsubscribe/', secret },
    ...options,
  })
  const base = await listen(
    express().use(express.json(), express.urlencoded()).use('/u', unsubscribeRouter(mailer)),
  )
  const linkOf = async (mail: Parameters<typeof mailer.send>[0]): Promise<string> => {
    const { messageId } = await mailer.sendAndWait(mail)
    const received = inbox.stored().find((each) => Buffer.from(each.raw).toString().includes(messageId))
    const text = Buffer.from(received?.raw ?? [])
      .toString()
      .replace(/\r\n[ \t]/g, ' ')
    expect(text).toContain('List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n')
    return /^List-Unsubscribe: <https:\/\/acme\.example\/unsubscribe\/([^>]+)>/m.exec(text)?.[1] ?? ''
  }
  const post = (path: string) =>
    callAt(`${base}/u/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: 'List-Unsubscribe=One-Click',
    })
  return { mailer, inbox, base, linkOf, post }
}

describe('a link to unsubscribe', () => {
  it('unsubscribes from its stream with one POST, again and again, and back', async () => {
    const { mailer, linkOf, post } = await site()
    const events: string[] = []
    mailer.on('unsubscribed', ({ recipient }) => events.push(recipient))
    const token = await linkOf({ ...NEWS, listUnsubscribe: true })
    const { status, headers, body } = await post(token)
    expect(status).toBe(200)
    expect(headers.get('set-cookie')).toBeNull()
    expect(body).toContain('Subscribe again')
    expect((await post(token)).status).toBe(200)
    expect(events).toEqual(['ada@example.com'])
    expect((await mailer.sendAndWait(NEWS)).recipients).toMatchObject([
      { code: 'SUPPRESSED', suppressed: { reason: 'unsubscribe', stream: 'newsletter' } },
    ])
    expect((await mailer.sendAndWait({ ...NEWS, stream: 'transactional' })).status).toBe('sent')

    await mailer.suppressions.add({ address: 'ada@example.com', reason: 'manual', stream: 'newsletter' })
    expect((await post(`${token}/subscribe`)).status).toBe(200)
    // Only the unsubscribe is undone.
    expect((await mailer.suppressions.list()).suppressions).toMatchObject([{ reason: 'manual' }])
  })

  it('changes nothing when it is only opened, and its page has one button', async () => {
    const { mailer, linkOf, base } = await site()
    const token = await linkOf({ ...NEWS, listUnsubscribe: true })
    const { status, headers, body } = await callAt(`${base}/u/${token}`)
    expect(status).toBe(200)
    expect(body.match(/<button/g)).toHaveLength(1)
    expect(body).toContain(`action="${token}"`)
    expect(body).not.toContain('ada')
    expect(headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(headers.get('referrer-policy')).toBe('no-referrer')
    expect((await mailer.suppressions.list()).suppressions).toEqual([])
    expect((await callAt(`${base}/u/${token}`, { method: 'DELETE' })).status).toBe(405)
  })

  it('has a page in the language of its mail', async () => {
    const templates = await folderOf({ 'news.mjml': WELCOME })
    const { linkOf, base } = await site(SECRET, { templates })
    const token = await linkOf({
      to: 'ada@example.com',
      template: 'news',
      locale: 'de-AT',
      listUnsubscribe: true,
    })
    const { body } = await callAt(`${base}/u/${token}`)
    expect(body).toContain('<html lang="de">')
    expect(body).toContain('Abmelden')
  })

  it('is refused if it was changed, or signed with another secret', async () => {
    const { mailer, linkOf, post, base } = await site()
    const token = await linkOf({ ...NEWS, listUnsubscribe: true })
    const [content = '', signature = ''] = token.split('.')
    const other = Buffer.from(JSON.stringify(['eve@example.com', 'newsletter', 'x'])).toString('base64url')
    const wrong = [
      `${other}.${signature}`,
      `${content}.${signature.slice(0, -1)}`,
      `${content}.`,
      content,
      `${content}.${'A'.repeat(43)}`,
      `${content}.${signature}.x`,
      'x'.repeat(5_000),
    ]
    for (const path of wrong) expect((await post(path)).status, path.slice(0, 80)).toBe(404)
    expect((await callAt(`${base}/u/${wrong[0]}`)).status).toBe(404)
    expect((await mailer.suppressions.list()).suppressions).toEqual([])
    const stranger = await site('another-secret-of-some-length')
    expect((await stranger.post(token)).status).toBe(404)
    const rotated = await site(['another-secret-of-some-length', SECRET])
    expect((await rotated.post(token)).status).toBe(200)
  })

  it('works when the message is no longer kept', async () => {
    const { mailer, inbox, post } = await site(SECRET, { retain: { count: 0 } })
    await mailer.send({ ...NEWS, listUnsubscribe: true })
    const { raw } = await inbox.waitFor({ to: 'ada@example.com' })
    const text = Buffer.from(raw)
      .toString()
      .replace(/\r\n[ \t]/g, ' ')
    const token = /^List-Unsubscribe: <[^>]*\/([^>/]+)>/m.exec(text)?.[1] ?? ''
    expect((await post(token)).status).toBe(200)
    expect(await mailer.suppressions.has('ada@example.com', { stream: 'newsletter' })).toBe(true)
  })
})

describe('listUnsubscribe: true', () => {
  it('is refused for several recipients, and without the option unsubscribe', async () => {
    const { mailer } = await site()
    await expect(
      mailer.send({ ...NEWS, bcc: 'bob@example.com', listUnsubscribe: true }),
    ).rejects.toMatchObject({
      code: 'INVALID_MESSAGE',
      path: 'listUnsubscribe',
    })
    const without = await testMailer({ transport: 'inbox:' })
    await expect(without.send({ ...NEWS, listUnsubscribe: true })).rejects.toMatchObject({
      path: 'listUnsubscribe',
    })
    expect(() => unsubscribeRouter(without)).toThrow(/unsubscribe/)
  })

  it('gets a link of its own when the message is sent again to somebody else', async () => {
    const { mailer, inbox, linkOf, post } = await site(SECRET, { retain: { data: 'kept' } })
    await linkOf({ ...NEWS, listUnsubscribe: true })
    const [{ id } = { id: '' }] = (await mailer.list()).messages
    const again = await mailer.sendAgain(id, { to: 'bob@example.com' })
    await mailer.wait(again.id)
    const bob = inbox.stored().find(({ envelope }) => envelope.to.includes('bob@example.com'))
    const text = Buffer.from(bob?.raw ?? [])
      .toString()
      .replace(/\r\n[ \t]/g, ' ')
    await post(/^List-Unsubscribe: <[^>]*\/([^>/]+)>/m.exec(text)?.[1] ?? '')
    expect((await mailer.suppressions.list()).suppressions).toMatchObject([{ address: 'bob@example.com' }])
  })

  it.each([
    [{ url: 'http://acme.example/u', secret: SECRET }, 'unsubscribe.url'],
    [{ url: 'https://acme.example/u?x=1', secret: SECRET }, 'unsubscribe.url'],
    [{ url: 'https://acme.example/u', secret: 'short' }, 'unsubscribe.secret'],
    [{ url: 'https://acme.example/u', secret: [] }, 'unsubscribe.secret'],
    [{ url: 'https://acme.example/u', secret: [SECRET, 'short'] }, 'unsubscribe.secret[1]'],
  ])('needs an option that is safe: %j', async (unsubscribe, path) => {
    const creating = createMailer({ transport: 'inbox:', unsubscribe })
    await expect(creating).rejects.toMatchObject({ code: 'INVALID_OPTIONS', path })
  })
})
