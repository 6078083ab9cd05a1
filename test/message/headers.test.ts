import PostalMime, { decodeWords } from 'postal-mime'
import { describe, expect, it } from 'vitest'
import { compose } from '../../workers/compose/compose.js'
import { toOneLine } from '../../workers/render/template/subjectAndPreheader.js'
import { toWirePayload } from '../../workers/wireForm.js'
import { job, plain, refusal } from '../support/messageRules.js'

const PARTS = { subject: '', html: '', text: 'x' }
const bytesOf = (mail: object) => compose(toWirePayload(job({ ...plain, ...mail })), PARTS).bytes
const headerOf = (mail: object) => bytesOf(mail).toString().split('\r\n\r\n')[0] ?? ''
const unfolded = (mail: object) => headerOf(mail).replaceAll('\r\n ', ' ').split('\r\n')

describe('a header', () => {
  it.each([
    [
      'a List-Unsubscribe URL',
      { listUnsubscribe: `https://a.example/${'x'.repeat(1_200)}` },
      'listUnsubscribe.url',
    ],
    [
      'a List-Unsubscribe URL that is long once it is encoded',
      { listUnsubscribe: `https://a.example/${'ü'.repeat(200)}` },
      'listUnsubscribe.url',
    ],
    [
      'a List-Help URL',
      { headers: { 'List-Help': `<https://a.example/${'x'.repeat(1_000)}>` } },
      'headers.List-Help',
    ],
    [
      'a List-Unsubscribe address',
      { listUnsubscribe: { mailto: `leave@a.example?subject=${'x'.repeat(970)}` } },
      'listUnsubscribe.mailto',
    ],
    ['spaces in Keywords', { headers: { Keywords: `a${' '.repeat(1_500)}b` } }, 'headers.Keywords'],
    [
      'spaces in List-Id',
      { headers: { 'List-Id': `a${' '.repeat(1_500)}b <l.acme.example>` } },
      'headers.List-Id',
    ],
    ['spaces in a token', { headers: { 'Feedback-ID': `a${' '.repeat(1_500)}b` } }, 'headers.Feedback-ID'],
    ['a Thread-Index', { headers: { 'Thread-Index': 'x'.repeat(1_000) } }, 'headers.Thread-Index'],
    ['a Feedback-ID', { headers: { 'Feedback-ID': ['a', 'x'.repeat(1_000)] } }, 'headers.Feedback-ID[1]'],
  ])('is refused if it would need a line of more than 998 octets: %s', (_, mail, path) => {
    expect(refusal({ ...plain, ...mail })).toEqual({ code: 'INVALID_MESSAGE', path })
  })

  it('of free text is encoded if it has no space to fold at', async () => {
    for (const value of ['x'.repeat(1_990), `a${' '.repeat(1_990)}b`, 'ü'.repeat(1_000)]) {
      const bytes = bytesOf({ headers: { 'X-Long': value } })
      for (const line of bytes.toString().split('\r\n')) expect(line.length).toBeLessThanOrEqual(998)
      const { headers } = await PostalMime.parse(bytes)
      expect(decodeWords(headers.find(({ key }) => key === 'x-long')?.value ?? '')).toBe(value)
    }
  })

  it('has no folded line of nothing but white space', () => {
    for (let spaces = 1; spaces < 200; spaces++)
      for (const value of [
        `a${' '.repeat(spaces)}b`,
        `${'word '.repeat(14)}${' '.repeat(spaces)}`,
        `${'x'.repeat(70)}${' '.repeat(spaces)}y`,
      ])
        for (const line of headerOf({ subject: value, headers: { 'X-A': value } }).split('\r\n'))
          expect(line).toMatch(/\S/)
  })

  it.each([
    ['List-Id', 'Größe <l.acme.example>', '=?UTF-8?Q?Gr=C3=B6=C3=9Fe?= <l.acme.example>'],
    ['List-Id', '"Acme, Größe" <l.acme.example>', '=?UTF-8?Q?Acme=2C_Gr=C3=B6=C3=9Fe?= <l.acme.example>'],
    ['List-Id', 'Acme News <news.acme.example>', 'Acme News <news.acme.example>'],
    ['List-Id', '<news.acme.example>', '<news.acme.example>'],
    ['List-Help', '<https://acme.example/hilfe/größe>', '<https://acme.example/hilfe/gr%C3%B6%C3%9Fe>'],
    ['List-Help', '<https://acme.example/?x=?y>', '<https://acme.example/?x=?y>'],
    ['Keywords', '"Ä, b", c', '=?UTF-8?Q?=C3=84=2C_b?=, c'],
    ['Keywords', ',shoes,,', 'shoes'],
    [
      'Disposition-Notification-To',
      '"Größe <x>" <a@example.com>',
      '=?UTF-8?Q?Gr=C3=B6=C3=9Fe_=3Cx=3E?= <a@example.com>',
    ],
    ['Keywords', 'shoes, Größe', 'shoes, =?UTF-8?Q?Gr=C3=B6=C3=9Fe?='],
    ['Disposition-Notification-To', 'ada@example.com', 'ada@example.com'],
    ['Disposition-Notification-To', '"Lovelace, Ada" <ada@example.com>', '"Lovelace, Ada" <ada@example.com>'],
    ['Organization', 'Größe', '=?UTF-8?Q?Gr=C3=B6=C3=9Fe?='],
    ['X-Note', '=?UTF-8?Q?x?=', '=?UTF-8?Q?=3D=3FUTF-8=3FQ=3Fx=3F=3D?='],
  ])('%s: %s has encoded words where its syntax allows them', (name, value, written) => {
    expect(unfolded({ headers: { [name]: value } })).toContain(`${name}: ${written}`)
  })

  it.each([
    ['Auto-Submitted', 'größe'],
    ['Content-Language', 'größe'],
    ['List-Id', 'Größe'],
    ['List-Help', 'Größe <https://acme.example>'],
    ['Disposition-Notification-To', 'größe@example.com'],
    ['Disposition-Notification-To', 'a@example.com, b@example.com'],
    ['Disposition-Notification-To', ['a@example.com', 'b@example.com']],
    ['Disposition-Notification-To', 'nobody'],
  ])('%s: %s is refused, because its syntax has no place for it', (name, value) => {
    expect(refusal({ ...plain, headers: { [name]: value } }).path).toBe(`headers.${name}`)
  })

  it('with a Message-ID has it in ASCII', () => {
    expect(job({ ...plain, messageId: '<a@bücher.example>' }).messageId).toBe('<a@xn--bcher-kva.example>')
    expect(refusal({ ...plain, messageId: '<ü@acme.example>' }).path).toBe('messageId')
    expect(refusal({ ...plain, references: '<ü@acme.example>' }).path).toBe('references')
  })
})

describe('a bound subject', () => {
  it('loses every control character, and half of a character', () => {
    for (let code = 0; code < 0xa0; code++) {
      const character = String.fromCharCode(code)

      expect(toOneLine(`a${character}b`)).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/)
    }
    expect(toOneLine('a\tb')).toBe('a b')
    expect(toOneLine('a\u0000b\u0007c')).toBe('abc')
    expect(toOneLine('a\ud800b').isWellFormed()).toBe(true)
  })

  it('has at most 998 characters', () => {
    expect(toOneLine('é'.repeat(5_000))).toBe(`${'é'.repeat(997)}…`)
  })
})
