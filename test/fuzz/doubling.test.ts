import { describe, expect, it } from 'vitest'
import { ThreadpostError } from '../../src/errors.js'
import { matcherOf } from '../../src/inbox/mailSearch.js'
import { linksOf, type ReceivedMail } from '../../src/inbox/receivedMail.js'
import { shortenText } from '../../src/logging/redaction.js'
import { parseMailboxList } from '../../src/message/addresses.js'
import { headersOf, listUnsubscribeOf } from '../../src/message/headers.js'
import { toJsonText } from '../../src/message/json.js'
import { withoutGroups } from '../../src/nodemailer/addressGroups.js'
import { Validator } from '../../src/validation.js'
import { parseMime } from '../../src/web/parseMime.js'
import { ReplyReader } from '../../workers/transports/smtp/reply.js'
import { randomFrom } from '../support/random.js'

/** Minutes for all targets together; `npm run test:fuzz -- --minutes N` sets it. */
const MINUTES = Number(process.env['FUZZ_MINUTES'] ?? 1)
const SMALLEST = 8_192
const LARGEST = 262_144
/** Milliseconds of CPU below which the time says more about the machine than about the input. */
const NOISE = 60
/** How much longer a byte of a large input may take than one of a small input. */
const MAX_FACTOR = 3
/** Milliseconds of CPU that are a hang: everything here takes a small part of that. */
const MAX_TIME = 5_000

const check = new Validator('INVALID_MESSAGE')

const MAIL = {
  subject: 'A subject',
  text: 'word '.repeat(2_000),
  html: '<p>word</p>'.repeat(1_000),
  from: { address: 'ada@example.com', name: 'Ada' },
  to: [{ address: 'grace@example.com', name: 'Grace' }],
  cc: [],
  envelope: { from: 'ada@example.com', to: ['grace@example.com'] },
  attachments: [],
} as unknown as ReceivedMail

interface Target {
  name: string
  /** Pieces of which inputs are made. */
  pieces: readonly string[]
  run: (text: string) => unknown
}

const TARGETS: Target[] = [
  {
    name: 'the reader of SMTP replies',
    pieces: [
      '250',
      '250-',
      ' ',
      '\r\n',
      '\n',
      '5.1.1',
      'x',
      '<',
      '\0',
      'ä',
      '354 go\r\n',
      '250 2.0.0 ok\r\n',
    ],
    run: (text) => {
      const reader = new ReplyReader()
      const bytes = Buffer.from(text)
      for (let at = 0; at < bytes.length; at += 1_000) {
        reader.feed(bytes.subarray(at, at + 1_000))
        for (let reply = reader.next(); reply !== undefined; reply = reader.next())
          if (reply === 'garbage') return
      }
    },
  },
  {
    name: 'lists of addresses',
    pieces: [
      '"',
      '\\',
      '<',
      '>',
      '@',
      ',',
      '(',
      ')',
      ':',
      ';',
      ' ',
      'a',
      '.',
      'a@b.example',
      '"\\',
      'ß',
      '\u200b',
    ],
    run: (text) => parseMailboxList(text, 'to', check, 50),
  },
  {
    name: "groups in the adapter's lists of addresses",
    pieces: ['"', '\\', '"\\', '<', '>', '@', ',', '(', ')', ':', ';', ' ', 'a', 'g: a@b.example;'],
    run: (text) => withoutGroups(text),
  },
  {
    name: 'mails in the inbox',
    pieces: [
      '\r\n',
      '\r\n\r\n',
      'Content-Type: multipart/mixed; boundary=x\r\n',
      '--x\r\n',
      '--x--\r\n',
      'Subject: =?utf-8?q?=41?= ',
      '=?utf-8?b?',
      '?=',
      ' ',
      '\t',
      'Content-Type: text/html; charset=utf-8; a="',
      ';',
      'a="\\',
      '<a href="',
      'https://a.example/',
      '<',
      '&',
      'To: a@b.example, ',
      '=\r\n',
      '=3D',
    ],
    run: (text) => {
      const contents = parseMime(Buffer.from(text))
      linksOf(contents)
      linksOf({ text, html: text })
    },
  },
  {
    name: 'searches in the inbox',
    pieces: ['*', 'to:', 'from:', 'subject:', '"', ' ', 'a', '@', '*@', 'has:', '.'],
    run: (text) => {
      matcherOf({ q: text, to: text })(MAIL)
      matcherOf({ from: '*a*b*' })({ ...MAIL, from: { address: text, name: text } })
    },
  },
  {
    name: 'data and headers',
    pieces: [
      'a',
      '__proto__',
      '.',
      '"',
      '\\',
      '<',
      '>',
      '\r',
      ' ',
      ':',
      'https://',
      'mailto:',
      ',',
      '\ud800',
    ],
    run: (text) => {
      for (const work of [
        () => toJsonText({ [text]: [text, { [text]: text }] }, 'data', check),
        () => headersOf({ 'X-A': text, [text]: 'a' }, check),
        () => listUnsubscribeOf(text, check),
      ])
        orRefused(work)
    },
  },
  {
    name: 'addresses in the replies of servers',
    pieces: ['"', '\\', '@', 'a', '.', '<', '>', '[', ']', "'", ' ', '…', 'a@b'],
    run: shortenText,
  },
]

function orRefused(work: () => unknown): void {
  try {
    work()
  } catch (error) {
    if (!(error instanceof ThreadpostError)) throw error
  }
}

/** Returns the milliseconds of CPU that the input takes; the best of three, because other programs share the caches. */
function cpuTime(run: Target['run'], text: string): number {
  let best = Infinity
  for (let attempt = 0; attempt < 3 && best > NOISE; attempt++) {
    const before = process.cpuUsage()
    orRefused(() => run(text))
    const { user } = process.cpuUsage(before)
    best = Math.min(best, user / 1_000)
  }
  return best
}

describe('with input from outside that doubles in size, the time per byte stays the same', () => {
  it.each(TARGETS)(
    'in $name',
    ({ run, pieces }) => {
      const seed = Date.now() % 1_000_000
      const random = randomFrom(seed)
      const some = (most: number): string =>
        Array.from(
          { length: 1 + Math.floor(random() * most) },
          () => pieces[Math.floor(random() * pieces.length)],
        ).join('')
      const end = performance.now() + (MINUTES * 60_000) / TARGETS.length
      while (performance.now() < end) {
        const [start, unit, last] = [some(3), some(3), some(2)]
        // Of the smallest size that can be measured.
        let first: number | undefined
        for (let size = SMALLEST; size <= LARGEST; size *= 2) {
          const text = start + unit.repeat(Math.ceil(size / unit.length)) + last
          const time = cpuTime(run, text)
          if (time > NOISE) first ??= time / size
          const factor = first === undefined ? 1 : time / size / first
          const pattern = `${JSON.stringify(start)} + ${JSON.stringify(unit)} × ${Math.ceil(size / unit.length)} + ${JSON.stringify(last)}`
          const problem = `${pattern} took ${time} ms: ${factor} times as long for each byte (seed ${seed})`
          expect(factor, problem).toBeLessThan(MAX_FACTOR)
          expect(time, problem).toBeLessThan(MAX_TIME)
        }
      }
    },
    MINUTES * 60_000 + 120_000,
  )
})
