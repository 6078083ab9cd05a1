import { describe, expect, it } from 'vitest'
import { newState } from '../../src/message/messageState.js'
import { toMessage } from '../../src/message/messageView.js'
import { fromPrepared, toPrepared } from '../../src/message/prepare.js'
import { toJob } from '../../src/message/toJob.js'
import { job, NOW, plain, refusal, rules } from '../support/messageRules.js'

describe('a mail', () => {
  it('becomes a job with an identity, defaults and one kind of content', () => {
    const { id, messageId, ...rest } = job({
      to: 'Ada <ada@example.com>',
      template: 'welcome',
      data: { at: new Date(0) },
    })
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(messageId).toBe(`<${id}@acme.example>`)
    expect(rest).toMatchObject({
      from: { name: 'Acme', address: 'hello@acme.example' },
      to: [{ name: 'Ada', address: 'ada@example.com' }],
      envelopeFrom: 'hello@acme.example',
      content: { kind: 'template', name: 'welcome', data: '{"at":"1970-01-01T00:00:00.000Z"}' },
      transport: 'default',
      priority: 5,
      date: NOW,
      expiresAt: NOW + 3 * 86_400_000,
    })
  })

  it('may have a comma in a display name, and a domain in any script', () => {
    expect(job({ ...plain, to: ['"Lovelace, Ada" <ada@example.com>', 'ü@münchen.example'] }).to).toEqual([
      { name: 'Lovelace, Ada', address: 'ada@example.com' },
      { address: 'ü@münchen.example' },
    ])
  })

  it('has its attachment bytes copied, so that the caller may reuse its buffer', () => {
    const content = Buffer.from('abc')
    const [attachment] = job({ ...plain, attachments: [{ filename: 'a.txt', content }] }).attachments
    content.fill(0)
    expect(Buffer.from(attachment?.content as Uint8Array).toString()).toBe('abc')
  })

  it('shares the copy of a large buffer with other mails until the buffer changes', () => {
    const content = Buffer.alloc(70_000, 'a')
    const copy = () =>
      job({ ...plain, attachments: [{ filename: 'a.txt', content }] }).attachments[0]?.content as Uint8Array
    const first = copy()
    expect(copy()).toBe(first)
    content[69_999] = 0
    expect([first[69_999], copy()[69_999]]).toEqual([97, 0])
  })

  it('shows its group and stream', () => {
    const grouped = job({ ...plain, group: 'acme' })
    expect(toMessage(grouped, newState(grouped))).toMatchObject({ group: 'acme', stream: 'transactional' })
    expect(toMessage(job(plain), newState(job(plain)))).not.toHaveProperty('group')
  })

  it('becomes the same job again after it was prepared', () => {
    const mail = { ...plain, attachments: [{ filename: 'a.bin', content: new Uint8Array([1, 2, 255]) }] }
    const first = job(mail)
    const prepared = toPrepared(mail, first)
    const parsed = fromPrepared(JSON.parse(JSON.stringify(prepared)))
    const { fingerprint, ...again } = toJob(parsed.mail, rules, NOW, parsed.origin)
    expect(again).toEqual(first)
    expect(fingerprint).toBeDefined()
  })

  it('keeps its own Message-ID, even if it was prepared', () => {
    const mail = { ...plain, messageId: '<order-42@shop.example>' }
    const first = job(mail)
    expect(first.messageId).toBe(mail.messageId)
    const parsed = fromPrepared(toPrepared(mail, first))
    expect(toJob(parsed.mail, rules, NOW, parsed.origin).messageId).toBe(mail.messageId)
    for (const messageId of ['order-42@shop.example', '<a@b>\r\nBcc: c@d.example', '<a@b> <c@d>', ''])
      expect(refusal({ ...plain, messageId })).toEqual({ code: 'INVALID_MESSAGE', path: 'messageId' })
  })

  it('has one header line for each value, and an unsubscribe address with a subject', () => {
    expect(job({ ...plain, headers: { 'X-A': ['1', '2'], 'X-B': '3' } }).headers).toEqual([
      ['X-A', '1'],
      ['X-A', '2'],
      ['X-B', '3'],
    ])
    expect(refusal({ ...plain, headers: { 'X-A': ['1', '2\r\nBcc: e@x.example'] } }).path).toBe(
      'headers.X-A[1]',
    )
    const listUnsubscribe = { mailto: 'leave@a.example?subject=leave%20now' }
    expect(job({ ...plain, listUnsubscribe }).listUnsubscribe).toEqual({
      ...listUnsubscribe,
      oneClick: false,
    })
    const url = `mailto:${listUnsubscribe.mailto}`
    expect(job({ ...plain, listUnsubscribe: url }).listUnsubscribe).toEqual({
      ...listUnsubscribe,
      oneClick: false,
    })
    expect(refusal({ ...plain, listUnsubscribe: false }).path).toBe('listUnsubscribe')
    for (const mailto of ['leave@a.example?subject=leave now', 'leave@a.example?x>,<mailto:e@x.example'])
      expect(refusal({ ...plain, listUnsubscribe: { mailto } }).path).toBe('listUnsubscribe.mailto')
  })

  it('has the same fingerprint in any order of its fields, and a different one for different content', () => {
    const a = job({ ...plain, idempotencyKey: 'k', metadata: { x: 1, y: 2 } })
    const b = job({ metadata: { y: 2, x: 1 }, ...plain, idempotencyKey: 'other' })
    const c = job({ ...plain, idempotencyKey: 'k', metadata: { x: 1, y: 3 } })
    expect(a.fingerprint).toBe(b.fingerprint)
    expect(a.fingerprint).not.toBe(c.fingerprint)
  })

  it('expires after its delay plus maxAge', () => {
    expect(job({ ...plain, delay: 1_000 })).toMatchObject({
      notBefore: NOW + 1_000,
      expiresAt: NOW + 1_000 + 3 * 86_400_000,
    })
  })

  it('has times in whole milliseconds, which is what a queue stores', () => {
    expect(job({ ...plain, delay: 1_000 / 3 })).toMatchObject({
      notBefore: NOW + 334,
      expiresAt: NOW + 334 + 3 * 86_400_000,
    })
  })

  it('is refused with a one-line message, whatever the field is named', () => {
    expect(() => job({ ...plain, headers: { 'X-A\r\nERROR all is lost': 'x' } })).toThrow(
      expect.objectContaining({ path: 'headers.X-A??ERROR all is lost' }) as Error,
    )
  })
})
