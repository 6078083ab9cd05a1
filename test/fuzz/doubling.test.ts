import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { ThreadpostError } from '../../src/errors.js'
import { LoginRequest, RenderRequest } from '../../src/express/schemas/serviceSchema.js'
import { matcherOf } from '../../src/inbox/mailSearch.js'
import { linksOf, type ReceivedMail } from '../../src/inbox/receivedMail.js'
import { shortenText } from '../../src/logging/redaction.js'
import { parseMailboxList } from '../../src/message/addresses.js'
import { headersOf, listUnsubscribeOf } from '../../src/message/headers.js'
import { toJsonText } from '../../src/message/json.js'
import { MAIL_FIELDS } from '../../src/message/mailFields.js'
import { toJob } from '../../src/message/toJob.js'
import { parseMime } from '../../src/mime/parseMime.js'
import { withoutGroups } from '../../src/nodemailer/addressGroups.js'
import { Validator } from '../../src/validation.js'
import { checked, ListParameters } from '../../src/web/requestSchema.js'
import { PerMessageTemplate } from '../../workers/render/perMessageTemplate.js'
import { compileWithoutMjml } from '../../workers/render/precompiled/compileTemplate.js'
import { Template } from '../../workers/render/template.js'
import { TemplateFailure } from '../../workers/render/template/sourceFile.js'
import { ReplyReader } from '../../workers/transports/smtp/reply.js'
import { builtFile } from '../support/built.js'
import { rules } from '../support/messageRules.js'
import { randomFrom } from '../support/random.js'
import { slowdownOf } from '../support/slowdown.js'
import { compile, critical, helpers, sourceOf } from '../workers/render/support/both.js'

/** Minutes for all targets together: `npm run test:fuzz -- --minutes N` tries that long, with patterns that differ each time. */
const MINUTES = Number(process.env['FUZZ_MINUTES'] ?? 0)
/** Patterns for each target in `npm test`, the same each time, so that a change fails only for what it changes. */
const PATTERNS = 12
const SIZES = Array.from({ length: 9 }, (_, power) => 1_024 * 2 ** power)

const MAIL_KEYS = Object.keys(MAIL_FIELDS)

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

const ADDRESS_SYNTAX = ['"', '\\', '<', '>', '@', ',', '(', ':', ' ', 'a', '.']

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
    pieces: [...ADDRESS_SYNTAX, ')', ';', 'a@b.example', '"\\', 'ß', '\u200b'],
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
  {
    name: 'bodies over HTTP',
    pieces: [...ADDRESS_SYNTAX, '{', '[', '\n', '__proto__', 'ß', '\u200b', '=', '1'],
    run: acceptBodies,
  },
  {
    name: 'templates',
    pieces: [
      ...[
        '{{',
        '}}',
        '{{{',
        '}}}',
        '{{#if a}}',
        '{{/if}}',
        '{{else}}',
        '{{#each list}}',
        '{{/each}}',
        '{{a}}',
        '{{> a}}',
      ],
      ...[
        '{{> b}}',
        '{{!-- ',
        '--}}',
        '<mj-text>',
        '</mj-text>',
        '<',
        '>',
        '<a href="',
        '"',
        ' ',
        '=',
        '<!--',
        '-->',
        '<title>',
        '</title>',
        'x',
        '\n',
      ],
      ...[
        '{{#> b}}',
        '{{/b}}',
        '<mj-include path="a.mjml" />',
        '<mj-title>',
        '</mj-title>',
        '{{(',
        ')',
        '|',
        'as |x|',
        '~',
      ],
    ],
    run: bindTemplate,
  },
  {
    name: 'the data of templates',
    pieces: [
      ' ',
      '\n',
      '\u00a0',
      '<',
      '&',
      '"',
      "'",
      '=',
      'a',
      'https:',
      ',',
      '\ufdd1',
      '&#x0',
      '{{',
      'é',
      '\t',
      '\r\n',
      '0',
    ],
    run: (text) => {
      const data = { a: text, list: [text, ...text.slice(0, 1_000).split('')] }
      const parts = RECEIPT.render({ data, variables: { locale: 'en' } }, critical)
      // A message that needs MJML is not measured: MJML doesn't run before the promise is awaited.
      if (!(parts instanceof Promise)) return parts.html
      parts.catch(() => undefined)
      return ''
    },
  },
]

/** Bodies of requests: hostile texts in every place of a mail. */
function acceptBodies(text: string): void {
  const object = { [text]: text, [`${text}a`]: { [text]: [text] } }
  const bodies: unknown[] = [
    ...MAIL_KEYS.map((key) => ({ to: 'ada@example.com', subject: 'x', text: 'x', [key]: text })),
    ...MAIL_KEYS.map((key) => ({ to: 'ada@example.com', subject: 'x', text: 'x', [key]: [text, object] })),
    ...MAIL_KEYS.map((key) => ({ to: 'ada@example.com', subject: 'x', text: 'x', [key]: object })),
    { [text]: text },
    {
      to: `${text}@example.com`,
      cc: `"${text}"@example.com`,
      bcc: `a@${text}`,
      template: 'welcome',
      data: object,
    },
  ]
  for (const body of bodies) orRefused(() => toJob(JSON.parse(JSON.stringify(body)), rules, 0))
  for (const schema of [RenderRequest, LoginRequest, ListParameters])
    for (const body of [object, { q: text, token: text, data: object, [text]: text }, text, [text]])
      orRefused(() => checked(schema, body))
  orRefused(() => JSON.parse(text))
}

function bindTemplate(text: string): void {
  const source = sourceOf({ source: text, partials: { a: text, b: 'b' } })
  const { trees } = compileWithoutMjml(source, critical)
  new PerMessageTemplate(trees, helpers).bind(INPUT)
}

const INPUT = { data: { a: 'x', list: ['a', 'b'] }, variables: { locale: 'en' } }

/** A template with expressions in every kind of place. Its messages need no MJML. */
const RECEIPT = await compile({
  source:
    '<mjml lang="{{a}}"><mj-head><mj-title>{{a}}</mj-title></mj-head><mj-body><mj-section><mj-column><mj-text>x {{a}} <a href="https://x.example/{{a}}" title="{{a}}">{{a}}</a><pre>{{a}}</pre><img srcset="/a {{a}}">{{#each list}}{{this}}{{/each}} x</mj-text></mj-column></mj-section></mj-body></mjml>',
  partials: {},
}).then((compiled) => Template.of(compiled, helpers))

function orRefused(work: () => unknown): void {
  try {
    work()
  } catch (error) {
    const isRefusal =
      error instanceof ThreadpostError || error instanceof TemplateFailure || error instanceof SyntaxError
    if (!isRefusal) throw error
  }
}

interface Pattern {
  start: string
  unit: string
  end: string
}

const inputOf = ({ start, unit, end }: Pattern, size: number): string =>
  start + unit.repeat(Math.ceil(size / unit.length)) + end

const patternSlowdown = (run: Target['run'], pattern: Pattern) =>
  slowdownOf((size) => orRefused(() => run(inputOf(pattern, size))), SIZES)

describe('with input from outside that doubles in size, the time per byte stays the same', () => {
  it.each(TARGETS)(
    'in $name',
    async ({ run, pieces }) => {
      const seed = MINUTES > 0 ? Date.now() % 1_000_000 : 1
      const random = randomFrom(seed)
      const some = (most: number): string =>
        Array.from(
          { length: 1 + Math.floor(random() * most) },
          () => pieces[Math.floor(random() * pieces.length)],
        ).join('')
      const end = performance.now() + (MINUTES * 60_000) / TARGETS.length
      for (let count = 0; count < PATTERNS || performance.now() < end; count++) {
        const pattern = { start: some(3), unit: some(3), end: some(2) }
        const slowdown = await patternSlowdown(run, pattern)
        expect(slowdown, `${JSON.stringify(pattern)} (seed ${seed})`).toBeUndefined()
      }
    },
    MINUTES * 60_000 + 300_000,
  )

  it('which a quadratic step does not', async () => {
    const quadratic = (size: number): void => {
      for (let row = 0; row < size; row++)
        for (let column = 0; column < size; column++) Math.imul(row, column)
    }
    expect(await slowdownOf(quadratic, SIZES)).toBeDefined()
  })

  it('in templates with one tag of many attributes, and with many titles', async () => {
    const { run } = TARGETS.find(({ name }) => name === 'templates') as Target
    for (const pattern of [
      { start: '<mj-title><mj-text>', unit: '<a href="', end: '{{a}}-->' },
      { start: '<mj-text>', unit: '<title></title>', end: '{{a}}</mj-text>' },
    ])
      expect(await patternSlowdown(run, pattern), pattern.unit).toBeUndefined()
  })

  it('in the parser of MJML, as it is bundled', async () => {
    const file = pathToFileURL(builtFile('workers/render/mjmlPackages.js')).href
    const { mjml2html } = (await import(file)) as { mjml2html: (source: string) => Promise<unknown> }
    const run = (size: number) => mjml2html(`<mjml><mj-body>${'<'.repeat(size)}`)
    expect(await slowdownOf(run, SIZES)).toBeUndefined()
  })

  it('in templates whose partials call each other ever more often', async () => {
    const { run } = TARGETS.find(({ name }) => name === 'templates') as Target
    for (const unit of ['{{> a}}', '{{#if a}}{{> a}}{{/if}}', '<mj-include path="a.mjml" />{{> a}}'])
      expect(await patternSlowdown(run, { start: '{{--}}--}}', unit, end: 'x' }), unit).toBeUndefined()
  })
})
