import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import PostalMime, { decodeWords, type Email } from 'postal-mime'
import { describe, expect, it } from 'vitest'
import type { JobAttachment, MessagePayload, Mailbox } from '../../../src/protocol/tasks.js'
import { compose } from '../../../workers/compose/compose.js'
import type { PieceRow } from '../../../workers/compose/quotedPrintable.js'
import { toMailData } from '../../../workers/transports/smtp/mailData.js'
import { toWirePayload, type WirePayload } from '../../../workers/wireForm.js'
import { composeWithNodemailer } from './support/withNodemailer.js'

function payloadOf(fields: Partial<MessagePayload> = {}): WirePayload {
  return toWirePayload({
    id: '0199aabb-ccdd-7eef-8899-aabbccddeeff',
    messageId: '<0199aabb-ccdd-7eef-8899-aabbccddeeff@acme.example>',
    date: Date.UTC(2026, 10, 22, 20, 36, 10),
    from: { name: 'Acme', address: 'hello@acme.example' },
    to: [{ address: 'ada@example.com' }],
    cc: [],
    bcc: [{ address: 'secret@example.com' }],
    replyTo: [],
    envelopeFrom: 'hello@acme.example',
    subject: 'Hello',
    content: { kind: 'literal' },
    headers: [],
    references: [],
    attachments: [],
    ...fields,
  })
}

/** All that a receiver sees, without what may differ: boundaries and encodings. */
function seen({ headers, html, text, ...email }: Email) {
  const own = headers
    .filter(({ key }) => !/^(?:content-.*|mime-version|from|to|cc|reply-to)$/.test(key))
    .map(({ key, value }) => `${key}: ${decodeWords(value).replace(/\s+/g, ' ').trim()}`)
  const body = (content: string | undefined) =>
    content?.replace(/\r\n/g, '\n').replace(/\n+$/, '') || undefined
  const { from, to, cc, bcc, replyTo, subject, messageId, date, inReplyTo, references, attachments } = email
  return {
    headers: own.sort(),
    html: body(html),
    text: body(text),
    from,
    to,
    cc,
    bcc,
    replyTo,
    subject,
    messageId,
    date,
    inReplyTo,
    references,
    attachments: attachments.map(({ content, ...facts }) => ({
      ...facts,
      content: Buffer.from(content as ArrayBuffer).toString('hex'),
    })),
  }
}

const joined = ({ constants, row }: PieceRow) =>
  row.map((piece) => (typeof piece === 'number' ? constants[piece] : piece)).join('')
/** Parts whose HTML was bound late. */
const late = (htmlRow: PieceRow, text: string) => ({ subject: '', html: joined(htmlRow), htmlRow, text })

const parse = async (bytes: Buffer) => seen(await PostalMime.parse(bytes))

const SCRIPTS = [
  'plain words',
  'Grüße aus Köln',
  'Здравствуйте, мир',
  '世界こんにちは안녕하세요',
  'مرحبا بالعالم',
  'שלום עולם',
  'नमस्ते दुनिया',
  'สวัสดีชาวโลก',
  '👩‍👩‍👧‍👦 😀',
  'a=b=?c?= =?UTF-8?Q?x?=',
  'tab\there',
  '.',
  ' ',
  '  two  spaces  ',
  'x'.repeat(120),
  'long '.repeat(40),
  'ü'.repeat(60),
  '<b>&amp;</b>',
]
const words = fc.array(
  fc.oneof(fc.constantFrom(...SCRIPTS), fc.string({ unit: 'grapheme', maxLength: 12 })),
  { maxLength: 6 },
)

/** Text that looks like an encoded word stays one with nodemailer; here it stays what it is. */
const line = words.map((parts) =>
  parts
    .join(' ')
    .replaceAll('=?', '')
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '')
    .trim()
    .slice(0, 600),
)

const body = fc
  .array(words, { maxLength: 8 })
  .map((lines) => lines.map((parts) => parts.join('').replace(/[\u0000\r]/g, '')).join('\n'))
const name = line.map((text) => text.slice(0, 80).trim())
const address = fc.constantFrom(
  'ada@example.com',
  'a.b+c@exämple.com',
  'x_y@sub.example.org',
  'ünï@example.com',
  "o'neil@example.com",
)
const mailbox: fc.Arbitrary<Mailbox> = fc
  .record({ name, address })
  .map(({ name: given, address: path }) =>
    given === '' ? { address: path } : { name: given, address: path },
  )
const payloads = fc
  .record({
    from: mailbox,
    to: fc.array(mailbox, { maxLength: 4 }),
    cc: fc.array(mailbox, { maxLength: 2 }),
    replyTo: fc.array(mailbox, { maxLength: 2 }),
    subject: line.filter((text) => text !== ''),
    references: fc.array(fc.constantFrom('<a@b.example>', '<0123456789@long.long.long.example>'), {
      maxLength: 8,
    }),
    headers: fc.array(
      fc.tuple(
        fc.constantFrom('X-One', 'Auto-Submitted', 'List-Id'),
        line.filter((text) => text !== ''),
      ),
      { maxLength: 2 },
    ),
    listUnsubscribe: fc.constantFrom(
      undefined,
      { url: 'https://acme.example/u?token=abc', oneClick: true },
      { url: `https://acme.example/${'x'.repeat(200)}`, mailto: 'off@acme.example', oneClick: false },
    ),
    inReplyTo: fc.constantFrom(undefined, '<a@b.example>'),
  })
  .map(({ listUnsubscribe, inReplyTo, ...fields }) =>
    payloadOf({
      ...fields,
      ...(listUnsubscribe === undefined ? {} : { listUnsubscribe }),
      ...(inReplyTo === undefined ? {} : { inReplyTo }),
    }),
  )

const attachments: fc.Arbitrary<JobAttachment[]> = fc.array(
  fc
    .record(
      {
        content: fc.oneof(fc.uint8Array({ maxLength: 300 }), body),
        filename: fc.oneof(
          line.filter((text) => text !== '').map((text) => text.replace(/[\\/]/g, '').slice(0, 120) || 'x'),
          fc.constantFrom(
            'receipt.pdf',
            'a b.csv',
            'Rechnung für März.pdf',
            "it's.txt",
            'no-extension',
            '😀.png',
          ),
        ),
        contentType: fc.constantFrom(
          'application/pdf',
          'image/png',
          'text/csv',
          'text/plain; charset=utf-8',
          'text/calendar; method=REQUEST; name="other.ics"',
        ),
        cid: fc.constantFrom('logo', 'a.b+c@acme.example'),
      },
      { requiredKeys: ['content'] },
    )
    .map(({ content, filename, contentType, cid }) => ({
      content,
      size: typeof content === 'string' ? Buffer.byteLength(content) : content.byteLength,
      ...(filename === undefined ? {} : { filename }),
      ...(contentType === undefined ? {} : { contentType }),
      ...(cid === undefined ? {} : { cid }),
    })),
  { maxLength: 4 },
)

/** A row whose constants and values, joined, are the text. */
const rows: fc.Arbitrary<PieceRow> = fc
  .tuple(
    fc.array(body, { minLength: 1, maxLength: 5 }),
    fc.array(fc.oneof(fc.nat(4), body), { maxLength: 12 }),
  )
  .map(([constants, row]) => ({
    constants,
    row: row.map((piece) => (typeof piece === 'number' ? piece % constants.length : piece)),
  }))

function checkForm(bytes: Buffer): void {
  const text = bytes.toString('latin1')
  expect(text.endsWith('\r\n')).toBe(true)
  expect(/(?<!\r)\n|\r(?!\n)/.test(text)).toBe(false)
  const at = text.indexOf('\r\n\r\n')
  for (const each of text.slice(0, at).split('\r\n')) expect(each.length).toBeLessThanOrEqual(998)
  for (const each of text.slice(at).split('\r\n')) {
    expect(each.length).toBeLessThanOrEqual(76)
    expect(each).not.toMatch(/[ \t]$/)
    expect(each.startsWith('.')).toBe(false)
  }
  // Nothing is left to be done for SMTP.
  expect(toMailData(bytes).message).toBe(bytes)
}

describe('a composed message', () => {
  it('equals the message that nodemailer composes', async () => {
    await fc.assert(
      fc.asyncProperty(payloads, body, body, async (payload, html, text) => {
        const parts = { subject: '', html, text }
        const { bytes } = compose(payload, parts)
        checkForm(bytes)
        expect(await parse(bytes)).toEqual(await parse(await composeWithNodemailer(payload, parts)))
      }),
      { numRuns: 150 },
    )
  })

  it('equals the message that nodemailer composes, with attachments and inline images', async () => {
    await fc.assert(
      fc.asyncProperty(payloads, body, body, attachments, async (payload, html, text, files) => {
        const parts = { subject: '', html, text }
        const whole = { ...payload, attachments: files }
        const { bytes } = compose(whole, parts)
        checkForm(bytes)
        expect(await parse(bytes)).toEqual(await parse(await composeWithNodemailer(whole, parts)))
      }),
      { numRuns: 300 },
    )
  })

  it('contains attachments of any length octet for octet, even if they are longer than a block', async () => {
    for (const size of [0, 1, 2, 3, 56, 57, 58, 114, 1_000_000, 3_000_001]) {
      const content = new Uint8Array(randomBytes(size))
      const payload = payloadOf({ attachments: [{ filename: 'a.bin', content, size }] })
      const { bytes } = compose(payload, { subject: '', html: '<p>a</p>', text: 'a' })
      const [file] = (await PostalMime.parse(bytes)).attachments
      expect(Buffer.from(file?.content as ArrayBuffer).equals(content)).toBe(true)
    }
  })

  it('is the same whether the HTML is one string or pieces', async () => {
    await fc.assert(
      fc.asyncProperty(rows, fc.constantFrom('', 'text'), async (html, text) => {
        const { bytes } = compose(payloadOf(), late(html, text))
        checkForm(bytes)
        expect((await PostalMime.parse(bytes)).html?.replace(/\r\n/g, '\n').replace(/\n+$/, '') ?? '').toBe(
          joined(html).replace(/\n+$/, ''),
        )
      }),
      { numRuns: 400 },
    )
  })

  it('is the same each time it is composed', async () => {
    const parts = late({ constants: ['<p>', '</p>'], row: [0, 'ü', 1] }, 'b')
    const first = Buffer.from(compose(payloadOf(), parts).bytes)
    compose(payloadOf({ subject: 'other' }), { subject: '', html: 'other', text: 'c' })
    expect(compose(payloadOf(), parts).bytes.equals(first)).toBe(true)
  })

  it('is readable without decoding', async () => {
    const html: PieceRow = { constants: ['<p>Dear ', ', welcome.</p>\n'], row: [0, 'Ada', 1] }
    expect(compose(payloadOf(), late(html, 'Dear Ada,\nwelcome.\n')).bytes.toString()).toBe(
      [
        'From: Acme <hello@acme.example>',
        'To: ada@example.com',
        'Subject: Hello',
        'Message-ID: <0199aabb-ccdd-7eef-8899-aabbccddeeff@acme.example>',
        'Date: Sun, 22 Nov 2026 20:36:10 +0000',
        'MIME-Version: 1.0',
        'Content-Type: multipart/alternative;',
        ' boundary="=_0199aabb-ccdd-7eef-8899-aabbccddeeff"',
        '',
        '--=_0199aabb-ccdd-7eef-8899-aabbccddeeff',
        'Content-Type: text/plain; charset=utf-8',
        'Content-Transfer-Encoding: quoted-printable',
        '',
        'Dear Ada,',
        'welcome.',
        '',
        '--=_0199aabb-ccdd-7eef-8899-aabbccddeeff',
        'Content-Type: text/html; charset=utf-8',
        'Content-Transfer-Encoding: quoted-printable',
        '',
        '<p>Dear=20Ada=',
        ', welcome.</p>',
        '',
        '--=_0199aabb-ccdd-7eef-8899-aabbccddeeff--',
        '',
      ].join('\r\n'),
    )
  })

  it('keeps header lines within 998 octets even if they contain no space', async () => {
    const payload = payloadOf({ subject: 's'.repeat(998), headers: [['X-Long', 'y'.repeat(2_000)]] })
    const { bytes } = compose(payload, { subject: '', html: '', text: 'x' })
    checkForm(bytes)
    const email = await PostalMime.parse(bytes)
    expect(email.subject).toBe('s'.repeat(998))
    expect(decodeWords(email.headers.find(({ key }) => key === 'x-long')?.value ?? '')).toBe(
      'y'.repeat(2_000),
    )
  })

  it('is readable without decoding, with an attachment and an image', () => {
    const html: PieceRow = { constants: ['<p>', '</p><img src="cid:logo">'], row: [0, 'Ada', 1] }
    const files = [
      { filename: 'Rechnung März.txt', content: 'Grüße', size: 7 },
      { content: new Uint8Array([1, 2, 3]), size: 3, contentType: 'image/png', cid: 'logo' },
    ]
    const { bytes } = compose(payloadOf({ attachments: files }), late(html, 'Ada'))
    const text = bytes.toString()
    expect(text.slice(text.indexOf('MIME-Version')).replaceAll(payloadOf().id, 'ID').split('\r\n')).toEqual([
      'MIME-Version: 1.0',
      'Content-Type: multipart/mixed;',
      ' boundary="=_m-ID"',
      '',
      '--=_m-ID',
      'Content-Type: multipart/alternative;',
      ' boundary="=_ID"',
      '',
      '--=_ID',
      'Content-Type: text/plain; charset=utf-8',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      'Ada',
      '--=_ID',
      'Content-Type: multipart/related; type="text/html";',
      ' boundary="=_r-ID"',
      '',
      '--=_r-ID',
      'Content-Type: text/html; charset=utf-8',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      '<p>Ada=',
      '</p><img src=3D"cid:logo">',
      '--=_r-ID',
      'Content-Type: image/png',
      'Content-Transfer-Encoding: base64',
      'Content-Disposition: inline',
      'Content-Id: <logo>',
      '',
      'AQID',
      '--=_r-ID--',
      '',
      '--=_ID--',
      '',
      '--=_m-ID',
      'Content-Type: text/plain; charset=utf-8;',
      ' name="=?UTF-8?Q?Rechnung_M=C3=A4rz=2Etxt?="',
      'Content-Transfer-Encoding: base64',
      "Content-Disposition: attachment; filename*0*=utf-8''Rechnung%20M%C3%A4rz.txt",
      '',
      'R3LDvMOfZQ==',
      '--=_m-ID--',
      '',
    ])
  })
})
