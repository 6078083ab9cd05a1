import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { fromPrepared, toPrepared } from '../../src/message/prepare.js'
import { toJob } from '../../src/message/toJob.js'
import { job, NOW, plain, refusal, rules } from '../support/messageRules.js'

const START = Date.UTC(2026, 5, 1, 8, 30)

/** The sentence with which a time is refused. */
function sentence(sendAt: unknown): string {
  try {
    job({ ...plain, sendAt })
  } catch (error) {
    return (error as Error).message
  }
  throw new Error('it was accepted')
}

describe('a time', () => {
  it.each([
    ['a Date', new Date(START)],
    ['a Date of another realm', runInNewContext(`new Date(${START})`)],
    ['milliseconds', START],
    ['UTC', '2026-06-01T08:30:00Z'],
    ['UTC without seconds', '2026-06-01T08:30Z'],
    ['UTC in lower case, with a fraction', '2026-06-01t08:30:00.000z'],
    ['an offset', '2026-06-01T10:30:00+02:00'],
    ['an offset without a colon', '2026-06-01T10:30:00+0200'],
    ['an offset of hours', '2026-06-01T10:30:00+02'],
    ['a negative offset across midnight', '2026-05-31T23:00:00-09:30'],
  ])('is accepted as %s', (_, sendAt) => {
    expect(job({ ...plain, sendAt }).notBefore).toBe(START)
    expect(job({ ...plain, expiresAt: sendAt }).expiresAt).toBe(START)
  })

  it('keeps milliseconds', () => {
    expect(job({ ...plain, sendAt: '2026-06-01T08:30:00.123456Z' }).notBefore).toBe(START + 123)
    expect(job({ ...plain, sendAt: '2026-06-01T08:30:00,5Z' }).notBefore).toBe(START + 500)
  })

  it.each([
    ['5', /milliseconds since the epoch, or ISO 8601/],
    ['05.01.2027', /ISO 8601 with a time zone such as '2027-/],
    ['01/05/2027', /ISO 8601/],
    ['tomorrow', /ISO 8601/],
    ['Tue, 05 Jan 2027 09:00:00 GMT', /ISO 8601/],
    ['2027-01-05', /ISO 8601 with a time zone/],
    ['2026-06-01T08:30:00', /write '2026-06-01T08:30:00Z' for UTC, or an offset/],
    ['2026-02-30T08:00:00Z', /is not a date that exists/],
    ['2026-02-29T08:00:00Z', /is not a date that exists/],
    ['2026-13-01T08:00:00Z', /is not a date that exists/],
    ['2026-06-01T24:00:00Z', /is not a date that exists/],
    ['2026-06-01T08:60:00Z', /is not a date that exists/],
    ['2026-06-01T08:30:00+25:00', /is not a date that exists/],
    ['2027-02-30', /ISO 8601/],
    ['', /ISO 8601/],
    [Math.round(START / 1000), /looks like a number of seconds; write milliseconds/],
    [0, /looks like a number of seconds/],
    [-1, /is not between 1970 and 2200/],
    [NaN, /must be a Date/],
    [new Date(NaN), /must be a Date/],
    [{}, /must be a Date/],
    [null, /must be a Date/],
    [true, /must be a Date/],
    [[START], /must be a Date/],
  ])('%j is refused with a sentence that says what to write', (value, expected) => {
    expect(sentence(value)).toMatch(expected)
    expect(refusal({ ...plain, sendAt: value }).path).toBe('sendAt')
    expect(refusal({ ...plain, expiresAt: value }).path).toBe('expiresAt')
  })
})

describe('values of another realm', () => {
  const foreign = runInNewContext(`({
    to: { name: 'Ada', address: 'ada@example.com' },
    subject: 'Hi',
    mjml: '<mjml></mjml>',
    data: { at: new Date(0), list: [1, { two: 2 }], none: null },
    sendAt: new Date(${START}),
    tags: ['a'],
    metadata: { when: new Date(0) },
    headers: { 'X-A': ['1', '2'] },
    attachments: [{ filename: 'a.bin', content: new Uint8Array([1, 2, 255]) }],
    idempotencyKey: 'k',
  })`) as object
  const own = {
    to: { name: 'Ada', address: 'ada@example.com' },
    subject: 'Hi',
    mjml: '<mjml></mjml>',
    data: { at: new Date(0), list: [1, { two: 2 }], none: null },
    sendAt: new Date(START),
    tags: ['a'],
    metadata: { when: new Date(0) },
    headers: { 'X-A': ['1', '2'] },
    attachments: [{ filename: 'a.bin', content: new Uint8Array([1, 2, 255]) }],
    idempotencyKey: 'k',
  }

  it('are what they are: the job and its fingerprint are the same', () => {
    const { id: _, messageId: __, ...made } = job(foreign)
    const { id: ___, messageId: ____, ...expected } = job(own)
    expect(made).toEqual(expected)
    expect(made.fingerprint).toBe(expected.fingerprint)
  })

  it('survive prepare()', () => {
    const prepared = toPrepared(foreign as Record<string, unknown>, job(foreign))
    const { mail, origin } = fromPrepared(JSON.parse(JSON.stringify(prepared)))
    const { attachments, notBefore } = toJob(mail, rules, NOW, origin)
    expect(notBefore).toBe(START)
    expect([...((attachments[0]?.content ?? []) as Uint8Array)]).toEqual([1, 2, 255])
  })
})
