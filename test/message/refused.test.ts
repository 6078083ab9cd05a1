import type { ThreadpostError } from 'threadpost'
import { describe, expect, it } from 'vitest'
import { fromPrepared, toPrepared } from '../../src/message/prepare.js'
import { toJob } from '../../src/message/toJob.js'
import { job, NOW, plain, refusal, rules } from '../support/messageRules.js'

const CONTROL = ['\r', '\n', '\0', '\u2028', '\u2029', '\u0085', '\u007f']

/** The inputs that must be refused, with the field that is named. */
const REFUSED: [name: string, mail: unknown, path: string | undefined][] = [
  ['no object', 'mail', undefined],
  ['an unknown field', { ...plain, template_: 'x' }, 'template_'],
  ['an unknown field with invisible characters', { ...plain, 'te\u202Ext': 'x' }, 'te?xt'],
  ['no recipient', { subject: 'x', text: 'x' }, 'to'],
  ['an empty list', { ...plain, to: [] }, 'to'],
  ['a list in a string', { ...plain, to: 'a@example.com, b@example.com' }, 'to'],
  ['a group', { ...plain, to: 'friends: a@example.com, b@example.com;' }, 'to'],
  ['a nested group', { ...plain, to: 'a: b: c@example.com;;' }, 'to'],
  ['a comment that hides a domain', { ...plain, to: 'user@good.example(x)evil.example' }, 'to'],
  ['text behind the address', { ...plain, to: 'Ada <a@example.com> b@example.com' }, 'to'],
  ['two addresses in angle brackets', { ...plain, to: '<a@example.com><b@example.com>' }, 'to'],
  ['a local part with a space', { ...plain, to: 'a b@example.com' }, 'to'],
  ['no domain', { ...plain, to: 'ada@' }, 'to'],
  ['no local part', { ...plain, to: '@example.com' }, 'to'],
  ['a domain with a space', { ...plain, to: 'ada@exam ple.com' }, 'to'],
  ['a long local part', { ...plain, to: `${'a'.repeat(65)}@example.com` }, 'to'],
  [
    'a long domain',
    { ...plain, to: `a@${'b'.repeat(60)}.${'c'.repeat(63)}.${'d'.repeat(63)}.${'e'.repeat(63)}.com` },
    'to',
  ],
  [
    'a stowaway in the address object',
    { ...plain, to: { address: 'a@example.com>, <b@example.com' } },
    'to.address',
  ],
  ['a recipient that is a number', { ...plain, to: [5] }, 'to[0]'],
  [
    'too many recipients',
    { ...plain, to: Array.from({ length: 100_000 }, (_, i) => `a${i}@example.com`) },
    'to',
  ],
  [
    'too many in to, cc and bcc',
    {
      ...plain,
      to: ['a@x.example', 'b@x.example'],
      cc: ['c@x.example', 'd@x.example'],
      bcc: ['e@x.example', 'f@x.example'],
    },
    'to',
  ],
  [
    'several recipients in envelope.from',
    { ...plain, envelope: { from: 'a@example.com, b@example.com' } },
    'envelope.from',
  ],
  ['envelope.to', { ...plain, envelope: { to: 'evil@example.com' } }, 'envelope.to'],
  ['a Bcc header', { ...plain, headers: { Bcc: 'evil@example.com' } }, 'headers.Bcc'],
  ['a prepared header', { ...plain, headers: { 'X-A': { prepared: true, value: 'a' } } }, 'headers.X-A'],
  [
    'a header name with a line break',
    { ...plain, headers: { 'X-A\r\nBcc: e@x.example': 'a' } },
    'headers.X-A??Bcc: e@x.example',
  ],
  ['a Content-Type header', { ...plain, headers: { 'content-type': 'text/plain' } }, 'headers.content-type'],
  ['a broken In-Reply-To', { ...plain, inReplyTo: 'x' }, 'inReplyTo'],
  [
    'a script as List-Unsubscribe',
    { ...plain, listUnsubscribe: 'javascript:alert(1)' },
    'listUnsubscribe.url',
  ],
  ['an attachment from a path', { ...plain, attachments: [{ path: '/etc/passwd' }] }, 'attachments[0].path'],
  [
    'an attachment from a URL',
    { ...plain, attachments: [{ href: 'http://127.0.0.1/' }] },
    'attachments[0].href',
  ],
  ['a data URI path', { ...plain, attachments: [{ path: 'data:text/plain,x' }] }, 'attachments[0].path'],
  ['raw attachment', { ...plain, attachments: [{ raw: 'x' }] }, 'attachments[0].raw'],
  [
    'too many attachments',
    { ...plain, attachments: Array.from({ length: 10_000 }, () => ({ content: 'x' })) },
    'attachments',
  ],
  [
    'a filename with a folder',
    { ...plain, attachments: [{ filename: '../x', content: 'x' }] },
    'attachments[0].filename',
  ],
  [
    'a message/partial attachment',
    { ...plain, attachments: [{ content: 'x', contentType: 'message/partial' }] },
    'attachments[0].contentType',
  ],
  [
    'broken base64',
    { ...plain, attachments: [{ content: '%%%', encoding: 'base64' }] },
    'attachments[0].content',
  ],
  ['transferred bytes', { ...plain, attachments: [{ content: transferred() }] }, 'attachments[0].content'],
  [
    'a transferred raw',
    { raw: transferred(), envelope: { from: 'a@example.com', to: 'a@example.com' } },
    'raw',
  ],
  ['a transferred calendar', { ...plain, calendar: { content: transferred() } }, 'calendar.content'],
  ['a stream as content', { ...plain, attachments: [{ content: { pipe() {} } }] }, 'attachments[0].content'],
  ['a body beyond the limit', { ...plain, text: 'x'.repeat(200_000) }, undefined],
  [
    'attachments beyond the limit',
    { ...plain, attachments: [{ content: new Uint8Array(200_000) }] },
    undefined,
  ],
  ['a NUL in the text', { ...plain, text: 'a\0b' }, 'text'],
  ['a NUL in data', { to: plain.to, template: 'welcome', data: { a: ['\0'] } }, 'data.a[0]'],
  ['a function in data', { to: plain.to, template: 'welcome', data: { a: () => 1 } }, 'data.a'],
  ['a class instance in data', { to: plain.to, template: 'welcome', data: { a: new Map() } }, 'data.a'],
  ['NaN in data', { to: plain.to, template: 'welcome', data: { a: Number.NaN } }, 'data.a'],
  ['a bigint in data', { to: plain.to, template: 'welcome', data: { a: 1n } }, 'data.a'],
  [
    'a prototype in data',
    { to: plain.to, template: 'welcome', data: JSON.parse('{"__proto__":{"a":1}}') as object },
    'data.__proto__',
  ],
  [
    'an object in data that is no text',
    { to: plain.to, template: 'welcome', data: { name: { toString: 1 } } },
    'data.name.toString',
  ],
  [
    'an object in data that is no value',
    { to: plain.to, template: 'welcome', data: { list: [{ valueOf: 'x' }] } },
    'data.list[0].valueOf',
  ],
  [
    'an object in data that pretends to be HTML',
    { to: plain.to, template: 'welcome', data: { name: { toHTML: 'x' } } },
    'data.name.toHTML',
  ],
  [
    'a constructor in data',
    { to: plain.to, template: 'welcome', data: { constructor: { prototype: {} } } },
    'data.constructor',
  ],
  ['data that would grow without end', { to: plain.to, template: 'welcome', data: bush(30) }, undefined],
  [
    'a line break in a MIME parameter',
    { ...plain, attachments: [{ content: '', contentType: 'text/plain; name="a\r\nX: y"' }] },
    'attachments[0].contentType',
  ],
  [
    'a boundary of its own',
    { ...plain, attachments: [{ content: '', contentType: 'text/plain; boundary=x' }] },
    'attachments[0].contentType',
  ],
  ['data that refers to itself', { to: plain.to, template: 'welcome', data: circular() }, undefined],
  ['two kinds of content', { ...plain, template: 'welcome' }, 'text'],
  ['no content', { to: plain.to, subject: 'x' }, 'template'],
  ['data without a template', { ...plain, data: {} }, 'data'],
  ['no subject', { to: plain.to, text: 'x' }, 'subject'],
  ['no subject for a template without one', { to: plain.to, template: 'bare' }, 'subject'],
  ['no subject for MJML without a title', { to: plain.to, mjml: '<mjml></mjml>' }, 'subject'],
  ['an unknown transport', { ...plain, transport: 'x' }, 'transport'],
  ['a priority out of range', { ...plain, priority: 10 }, 'priority'],
  ['a broken date', { ...plain, sendAt: 'soon' }, 'sendAt'],
  ['a date no calendar has', { ...plain, expiresAt: 1e20 }, 'expiresAt'],
  ['a date before the epoch', { ...plain, sendAt: -1e20 }, 'sendAt'],
  ['delay and sendAt', { ...plain, delay: 1, sendAt: NOW + 1 }, 'sendAt'],
  ['an expiry in the past', { ...plain, expiresAt: NOW }, 'expiresAt'],
  ['an expiry before the start', { ...plain, delay: 10, expiresAt: NOW + 5 }, 'expiresAt'],
  [
    'headers beyond the limit of a message',
    { ...plain, headers: { 'X-A': Array.from({ length: 50 }, () => '€'.repeat(1_000)) } },
    undefined,
  ],
  ['an unending list of references', { ...plain, references: '<a@b.c> '.repeat(101) }, 'references'],
  ['a longer one', { ...plain, references: '<a@b.c> '.repeat(100_000) }, 'references'],
  ['an answer to two', { ...plain, inReplyTo: ['<a@b.c>', '<d@e.f>'] }, 'inReplyTo'],
  ['metadata of many bytes a character', { ...plain, metadata: { a: '€'.repeat(6_000) } }, 'metadata'],
  ['too much metadata', { ...plain, metadata: { a: 'x'.repeat(20_000) } }, 'metadata'],
  ['a locale that is a path', { to: plain.to, template: 'welcome', locale: '../fr' }, 'locale'],
  ...CONTROL.flatMap((control): [string, unknown, string][] => {
    const name = `U+${control.charCodeAt(0).toString(16).padStart(4, '0')}`
    const bad = `a${control}b`
    return [
      [`${name} in the subject`, { ...plain, subject: bad }, 'subject'],
      [`${name} in an address`, { ...plain, to: `a${control}@example.com` }, 'to'],
      [
        `${name} and a header in an address`,
        { ...plain, to: `b@example.com${control}Bcc: evil@example.com` },
        'to',
      ],
      [`${name} in a name`, { ...plain, to: { name: bad, address: 'a@example.com' } }, 'to.name'],
      [`${name} in a header`, { ...plain, headers: { 'X-A': bad } }, 'headers.X-A'],
      [
        `${name} in a file name`,
        { ...plain, attachments: [{ filename: bad, content: '' }] },
        'attachments[0].filename',
      ],
      [`${name} in a tag`, { ...plain, tags: [bad] }, 'tags[0]'],
      [`${name} in the idempotency key`, { ...plain, idempotencyKey: bad }, 'idempotencyKey'],
    ]
  }),
]

/** Small in memory, 2^depth values when copied. */
function bush(depth: number): object {
  return depth === 0 ? {} : ((twig) => ({ left: twig, right: twig }))(bush(depth - 1))
}

function circular(): object {
  const data: Record<string, unknown> = {}
  data['self'] = data
  return data
}

describe('a mail is refused', () => {
  it.each(REFUSED)('with %s', (_, mail, path) => {
    const { code, path: actual } = refusal(mail)
    expect(code).toBe('INVALID_MESSAGE')
    if (path !== undefined) expect(actual).toBe(path)
  })

  it.each(['../../x', '/etc/passwd', '%2e%2e/x', 'welcome\0', 'WELCOME', '__proto__', 'constructor', ''])(
    'with the unknown template %j',
    (template) => {
      expect(refusal({ to: plain.to, template })).toEqual({ code: 'UNKNOWN_TEMPLATE', path: 'template' })
    },
  )

  it('for its shape first, then for the template, then for the subject', () => {
    expect(refusal({ to: 'x', template: 'nowhere', subject: '\n' }).path).toBe('to')
    expect(refusal({ to: plain.to, template: 'nowhere', subject: '\n' }).code).toBe('UNKNOWN_TEMPLATE')
    expect(refusal({ to: plain.to, template: 'welcome', subject: '\n' }).path).toBe('subject')
  })

  it('with a message that says what to do and contains no data', () => {
    expect(() => job({ ...plain, recipients: [] })).toThrow(/recipients: unknown field/)
    expect(() => job({ ...plain, subjet: 'x' })).toThrow(/did you mean "subject"/)
    expect(() => job({ ...plain, transport: 'x' })).toThrow(
      'no transport is named "x"; configure it, or add it with addTransport()',
    )
    expect(() => toJob('mail', rules, NOW)).toThrow(
      /^expected an object with fields such as template, .*, got a string$/,
    )
  })
})

describe('a prepared mail', () => {
  it.each([
    ['another version', { prepared: 2 }, 'prepared'],
    ['a foreign id', { id: 'x' }, 'id'],
    ['a broken Message-ID', { messageId: 'x\r\nBcc: y' }, 'messageId'],
    ['a Message-ID of another', { messageId: '<ceo@bank.example>' }, 'messageId'],
    ['a broken date', { date: 'x' }, 'date'],
    ['an unknown field', { extra: 1 }, 'extra'],
  ])('is refused with %s', (_, change, path) => {
    const prepared = { ...toPrepared(plain, job(plain)), ...change }
    expect(() => fromPrepared(prepared)).toThrow(
      expect.objectContaining({ code: 'INVALID_MESSAGE', path }) as Error,
    )
  })
})

it.each([
  ['a field', (key: string) => ({ ...plain, [key]: 1 })],
  [
    'a key of the data',
    (key: string) => ({ to: plain.to, template: 'welcome', data: { [key]: Number.NaN } }),
  ],
  ['a key of the metadata', (key: string) => ({ ...plain, metadata: { a: { [key]: Number.NaN } } })],
])('an error quotes at most 100 characters of %s', (_, mailOf) => {
  let error: unknown
  try {
    job(mailOf('x'.repeat(9_500_000)))
  } catch (thrown) {
    error = thrown
  }
  expect(error).toMatchObject({ code: 'INVALID_MESSAGE' })
  const { path = '', message } = error as ThreadpostError
  expect(path.length).toBeLessThanOrEqual(100)
  expect(message.length).toBeLessThan(700)
})

/** Bytes whose memory belongs to another thread. */
function transferred(): Uint8Array {
  const bytes = new Uint8Array(10)
  structuredClone(bytes, { transfer: [bytes.buffer] })
  return bytes
}
