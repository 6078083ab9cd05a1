import type { Attachment, Mail } from '../../../../src/message/mail.js'
import { randomFrom } from '../../../support/random.js'

/** A mailbox as a receiver sees it. */
export interface Mailbox {
  name: string
  address: string
}

/** A part without parts of its own. */
export interface Leaf {
  type: string
  content: Uint8Array
  filename?: string
  cid?: string
  method?: string
  /** A message that is attached as it is. */
  embedded?: ExpectedMail
}

/** All that a receiver must see of a mail: what the caller passed, without a look at how it was composed. */
export interface ExpectedMail {
  from: Mailbox
  sender?: Mailbox
  to: Mailbox[]
  cc: Mailbox[]
  replyTo: Mailbox[]
  subject: string
  headers: [name: string, value: string][]
  references: string[]
  inReplyTo?: string
  listUnsubscribe?: string
  /** Types of the parts, nested: `mixed(alternative(text/plain,text/html),application/pdf)`. */
  tree: string
  leaves: Leaf[]
  /** Whether an address in the header is only possible with SMTPUTF8 (RFC 6531). */
  utf8: boolean
}

export interface RandomMail {
  mail: Mail
  expected: ExpectedMail
}

/** Addresses, and how they are written in a message. */
const ADDRESSES: readonly [given: string, written: string][] = [
  ['ada@example.com', 'ada@example.com'],
  ["o'neil+tag@sub.example.org", "o'neil+tag@sub.example.org"],
  ['info@bücher.example', 'info@xn--bcher-kva.example'],
  ['"john doe"@example.com', '"john doe"@example.com'],
  ['abc..def@docomo.ne.jp', '"abc..def"@docomo.ne.jp'],
  ['x@[192.0.2.1]', 'x@[192.0.2.1]'],
  [`${'l'.repeat(64)}@${'d'.repeat(60)}.example`, `${'l'.repeat(64)}@${'d'.repeat(60)}.example`],
]
const UTF8_ADDRESS = '用户@example.com'
const WORDS = [
  'plain',
  'Grüße',
  'Здравствуйте',
  '世界',
  'مرحبا',
  'नमस्ते',
  'สวัสดี',
  '👩‍👩‍👧‍👦',
  'ﬁ',
  'e\u0301',
  'a=b',
  '=?x',
  '?=',
  'tail\\',
  '"quoted"',
  "it's",
  'semi;colon',
  'comma,',
  '<b>',
  '&amp;',
  '(paren)',
  '@',
  '_',
  '%41',
  'x'.repeat(90),
  'ü'.repeat(70),
  '😀'.repeat(30),
]
const BODY_WORDS = [
  ...WORDS,
  '.',
  '..',
  'From me',
  ' ',
  '  ',
  '\t',
  '--',
  '=',
  '==',
  '=20',
  '\u00a0',
  '\u0001',
  '\u007f',
  '\ufeff',
  'z'.repeat(1_200),
]

/** Random mails; the same seed gives the same mails. */
export class RandomMails {
  readonly #random: () => number

  constructor(seed: number) {
    this.#random = randomFrom(seed)
  }

  next(embed: (mail: Mail) => Uint8Array, depth = 0): RandomMail {
    const utf8 = this.#chance(0.04)
    const from = this.#mailbox()
    const [to, cc, replyTo] = [this.#mailboxes(3), this.#mailboxes(2), this.#mailboxes(2)]
    if (utf8) to.push([{ address: UTF8_ADDRESS }, { name: '', address: UTF8_ADDRESS }])
    const sender = this.#chance(0.1) ? this.#mailbox() : undefined
    const subject = this.#line(900, 'Subject')
    const headers = this.#headers()
    const references = this.#some(
      12,
      () => `<${this.#integer(1e9)}.${'r'.repeat(this.#integer(60))}@ref.example>`,
    )
    const inReplyTo = this.#chance(0.2) ? `<reply-${this.#integer(1e9)}@ref.example>` : undefined
    const url = this.#chance(0.2) ? `https://acme.example/${'u'.repeat(this.#integer(900))}` : undefined
    const content = this.#content(embed, depth)
    const mail = {
      from: from[0],
      ...(sender === undefined ? {} : { sender: sender[0] }),
      to: to.map(([given]) => given),
      cc: cc.map(([given]) => given),
      bcc: ['secret@hidden.example'],
      replyTo: replyTo.map(([given]) => given),
      subject,
      headers: Object.fromEntries(headers),
      references,
      ...(inReplyTo === undefined ? {} : { inReplyTo }),
      ...(url === undefined ? {} : { listUnsubscribe: url }),
      ...content.fields,
    } as unknown as Mail
    const expected: ExpectedMail = {
      from: from[1],
      ...(sender === undefined ? {} : { sender: sender[1] }),
      to: unique(to.map(([, seen]) => seen)),
      cc: unique(cc.map(([, seen]) => seen)),
      replyTo: unique(replyTo.map(([, seen]) => seen)),
      subject,
      headers,
      references,
      ...(inReplyTo === undefined ? {} : { inReplyTo }),
      ...(url === undefined ? {} : { listUnsubscribe: `<${url}>` }),
      tree: content.tree,
      leaves: content.leaves,
      utf8,
    }
    return { mail, expected }
  }

  #content(
    embed: (mail: Mail) => Uint8Array,
    depth: number,
  ): { fields: object; tree: string; leaves: Leaf[] } {
    const text = this.#chance(0.8) ? this.#body() : ''
    const html = this.#chance(0.6) ? `<p>${this.#body()}</p>` : ''
    const files = this.#chance(0.5) ? this.#some(3, () => this.#file(embed, depth)) : []
    const calendar = this.#chance(0.15) ? this.#calendar() : undefined
    const inline = html === '' ? [] : files.filter(({ leaf }) => leaf.cid !== undefined)
    const attached = files.filter((file) => !inline.includes(file)).map(({ leaf }) => leaf)
    if (calendar !== undefined) attached.push(calendar.copy)

    const alternatives: { tree: string; leaves: Leaf[] }[] = []
    if (text !== '' || html === '') alternatives.push(single({ type: 'text/plain', content: crlf(text) }))
    if (html !== '') {
      const body = single({ type: 'text/html', content: crlf(html) })
      alternatives.push(nested('related', [body, ...inline.map(({ leaf }) => single(leaf))]))
    }
    if (calendar !== undefined) alternatives.push(single(calendar.part))
    const body = nested('alternative', alternatives)
    const whole = nested('mixed', [body, ...attached.map(single)])
    return {
      fields: {
        ...(html === '' ? {} : { html }),
        ...(text !== '' || html === '' ? { text } : {}),
        attachments: files.map(({ attachment }) => attachment),
        ...(calendar === undefined ? {} : { calendar: calendar.given }),
      },
      ...whole,
    }
  }

  #file(embed: (mail: Mail) => Uint8Array, depth: number): { attachment: Attachment; leaf: Leaf } {
    const kind = this.#integer(6)
    const name = this.#chance(0.8) ? this.#line(120, 'f').replace(/[/\\]/g, '') || 'f' : undefined
    if (kind === 0 && depth === 0) {
      const { mail, expected } = this.next(embed, depth + 1)
      const bytes = embed(mail)
      // Line feeds become CRLF, which is what the message has.
      const content = this.#chance(0.5)
        ? bytes
        : Buffer.from(bytes.toString()).length === 0
          ? bytes
          : lineFeeds(bytes)
      const filename = `${this.#integer(1_000)}.eml`
      return {
        attachment: { filename, content },
        leaf: { type: 'message/rfc822', content: bytes, filename, embedded: expected },
      }
    }
    if (kind === 1) {
      const content = this.#bytes(400)
      const cid = `img-${this.#integer(1e9)}@acme.example`
      const filename = `${name ?? 'image'}.png`
      return { attachment: { filename, content, cid }, leaf: { type: 'image/png', content, filename, cid } }
    }
    if (kind === 2) {
      const text = this.#body()
      const filename = `${name ?? 'note'}.txt`
      return {
        attachment: { filename, content: text },
        leaf: { type: 'text/plain', content: Buffer.from(text), filename },
      }
    }
    const content = this.#bytes(2_000)
    const type = this.#pick(['application/pdf', 'text/csv', 'application/x-a+json', 'image/jpeg'])
    return {
      attachment: { content, contentType: type, ...(name === undefined ? {} : { filename: name }) },
      leaf: { type, content, ...(name === undefined ? {} : { filename: name }) },
    }
  }

  #calendar(): { given: object; part: Leaf; copy: Leaf } {
    const method = this.#pick(['REQUEST', 'CANCEL', 'REPLY', 'PUBLISH'])
    const lines = [
      'BEGIN:VCALENDAR',
      'VERSION:2.0',
      'PRODID:-//Acme//Größe//EN',
      'BEGIN:VEVENT',
      `UID:${this.#integer(1e9)}@acme.example`,
      'DTSTAMP:20260101T000000Z',
      'DTSTART:20260101T000000Z',
      `SUMMARY:${this.#line(60, 's').replace(/[\\,;]/g, '')}`,
      ` folded ${'long'.repeat(this.#integer(15))}`,
      'END:VEVENT',
      'END:VCALENDAR',
    ]
    const withMethod = lines.toSpliced(1, 0, `METHOD:${method}`)
    const given = this.#chance(0.5) ? withMethod : lines
    const content = Buffer.from(withMethod.map((line) => `${line}\r\n`).join(''))
    return {
      given: { method, content: given.join(this.#pick(['\r\n', '\n'])), filename: 'invite.ics' },
      part: { type: 'text/calendar', content, method },
      copy: { type: 'application/ics', content, filename: 'invite.ics' },
    }
  }

  #headers(): [string, string][] {
    const headers: [string, string][] = []
    for (const name of ['X-One', 'X-Two', 'Comments', 'Organization'])
      if (this.#chance(0.2)) headers.push([name, this.#line(1_900, name)])
    if (this.#chance(0.1)) headers.push(['Auto-Submitted', 'auto-generated'])
    return headers
  }

  /** A line of text that isn't empty, without white space at its ends. */
  #line(max: number, fallback: string): string {
    const words = this.#some(this.#chance(0.1) ? 60 : 8, () => this.#pick(WORDS))
    const text = words
      .join(this.#pick([' ', ' ', '  ', '']))
      .slice(0, max)
      .toWellFormed()
    return text.replaceAll('\ufffd', '').trim() || fallback
  }

  #body(): string {
    const lines = this.#some(12, () =>
      this.#some(10, () => this.#pick(BODY_WORDS)).join(this.#pick(['', ' '])),
    )
    return lines.join(this.#pick(['\n', '\n', '\r\n'])) + this.#pick(['', '\n', '\n\n'])
  }

  #mailbox(): [given: { name?: string; address: string }, seen: Mailbox] {
    const [address, written] = this.#pick(ADDRESSES)
    if (this.#chance(0.3)) return [{ address }, { name: '', address: written }]
    const name = this.#line(200, 'N')
    return [
      { name, address },
      { name, address: written },
    ]
  }

  #mailboxes(max: number): ReturnType<RandomMails['mailbox']>[] {
    return this.#some(max, () => this.#mailbox())
  }

  /** For its type. */
  protected mailbox(): [given: { name?: string; address: string }, seen: Mailbox] {
    return this.#mailbox()
  }

  #bytes(max: number): Uint8Array {
    return Uint8Array.from({ length: this.#integer(max) }, () => this.#integer(256))
  }

  #some<T>(max: number, make: () => T): T[] {
    return Array.from({ length: this.#integer(max + 1) }, make)
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#integer(list.length)]!
  }

  #integer(below: number): number {
    return Math.floor(this.#random() * below)
  }

  #chance(share: number): boolean {
    return this.#random() < share
  }
}

function crlf(text: string): Uint8Array {
  return Buffer.from(text.replace(/\r\n|\n/g, '\r\n'))
}

function lineFeeds(bytes: Uint8Array): Uint8Array {
  return Buffer.from(Buffer.from(bytes).toString('latin1').replaceAll('\r\n', '\n'), 'latin1')
}

function single(leaf: Leaf): { tree: string; leaves: Leaf[] } {
  if (leaf.embedded === undefined) return { tree: leaf.type, leaves: [leaf] }
  return { tree: `rfc822(${leaf.embedded.tree})`, leaves: [leaf, ...leaf.embedded.leaves] }
}

/** A multipart, unless it would have one part only. */
function nested(
  subtype: string,
  parts: { tree: string; leaves: Leaf[] }[],
): { tree: string; leaves: Leaf[] } {
  const [only] = parts
  if (parts.length === 1 && only !== undefined) return only
  return {
    tree: `${subtype}(${parts.map(({ tree }) => tree).join(',')})`,
    leaves: parts.flatMap(({ leaves }) => leaves),
  }
}

/** An address occurs once in a field, whatever its name. */
function unique(mailboxes: Mailbox[]): Mailbox[] {
  return mailboxes.filter(
    ({ address }, index) => mailboxes.findIndex((each) => each.address === address) === index,
  )
}
