import { expect, test } from 'vitest'
import { compose } from '../../../workers/compose/compose.js'
import { htmlLanguage } from '../../../workers/render/languages/htmlLanguage.js'
import { mjmlLanguage } from '../../../workers/render/languages/mjmlLanguage.js'
import { compileTemplate } from '../../../workers/render/precompiled/compileTemplate.js'
import { Template } from '../../../workers/render/template.js'
import { TemplateFailure } from '../../../workers/render/template/sourceFile.js'
import { toOneLine } from '../../../workers/render/template/subjectAndPreheader.js'
import { loadHtmlToText } from '../../../workers/render/text/htmlToText.js'
import { layOutText } from '../../../workers/render/text/layout.js'
import type { WirePayload } from '../../../workers/wireForm.js'
import { slowdownOf } from '../../support/slowdown.js'
import { critical, helpers, sourceOf } from './support/both.js'

/** A value may be as long as a message, and work on it is linear. */
const SIZES = [4_000, 16_000, 64_000]

const mail = (head: string, section: string, column: string): string =>
  `<mjml><mj-head>${head}</mj-head><mj-body><mj-section${section}><mj-column>${column}</mj-column></mj-section></mj-body></mjml>`
const LINES = '<mj-title>{{v}}</mj-title><mj-preview>{{v}}</mj-preview>'
const CONTENT =
  '<mj-text>a {{v}} b <a title="{{v}}" href={{v}}>x</a> {{default v "x"}} {{#each map}}{{@key}}{{this}}{{/each}}</mj-text><mj-table><tr><td>{{v}}</td></tr></mj-table><mj-text><pre>{{v}} {{v}}</pre><ol start="{{v}}"><li>{{v}}</li></ol><img srcset="{{v}} 2x"><a href="{{v}}"><img></a><a href="{{v}}">{{v}}</a></mj-text><mj-raw><!--[if mso]>{{v}}<![endif]--><!-- {{v}} --></mj-raw>'

/** Every kind of place for an expression, precompiled and per message. */
const TEMPLATES: Record<string, { source: string; text?: string }> = {
  'lines and content': { source: mail(LINES, '', CONTENT) },
  attributes: {
    source: mail(
      '',
      ' background-url="{{v}}" css-class="{{v}}"',
      '<mj-button href="{{v}}" title="{{v}}" color="{{v}}" padding="{{v}}">{{v}}</mj-button><mj-image src="x" alt="{{v}}" />',
    ),
  },
  'raw values': {
    source: mail(
      '<mj-title>{{{v}}}</mj-title>',
      '',
      '<mj-text>a {{{v}}} b<pre>{{{v}}}</pre><i style="color:red;{{{v}}}">x</i></mj-text>',
    ),
  },
  'a text part of its own': {
    source: mail(LINES, '', '<mj-text>x</mj-text>'),
    text: '{{v}} {{{v}}} {{#if v}} {{v}} {{/if}}',
  },
  'lines and content per message': {
    source: mail(LINES, '', `<mj-image src="x" width="{{width}}" />${CONTENT}`),
  },
  'raw values per message': {
    source: mail('', '', '<mj-image src="x" width="{{width}}" /><mj-text>a {{{v}}} b</mj-text>'),
  },
  'styles inlined per message': {
    source: mail(
      '<mj-style inline="inline">b + i { color: red }</mj-style>',
      '',
      `{{#if v}}${CONTENT}{{/if}}`,
    ),
  },
}

/** Texts that make a backtracking regular expression start again at each position. */
const REPEATED = [
  ...[' ', '\n', '\t ', '\r\n ', '\u00a0', ' \u2028', '\u200b ', '\ufdd1 ', 'é x ', 'x', '=?'],
  ...['&', '&#x0', '0', '<', '<a ', ' b="', ' b = ', '<b>x</b>', '<ul><li>', '<!--', '<![endif]-->'],
  ...['font-family:', '{{', '"', '$', '>'],
]
/** Texts that continue inside a tag, so that the tag stays unfinished. */
const IN_TAG = new Set([' ', 'x', ' b="', ' b = '])

/** Long values that neither begin nor end with the repeated text, so that it can't just be trimmed. */
const VALUES = REPEATED.flatMap((part) => {
  const long = (size: number): string => part.repeat(size / part.length)
  const within = { part, of: (size: number) => ` a${long(size)}b ` }
  return IN_TAG.has(part)
    ? [within, { part: `<a${part}`, of: (size: number) => `<a${long(size)}` }]
    : [within]
})

const payload = {
  ...{ id: 'a', messageId: '<a@b.example>', date: '2026-01-01T00:00:00Z', envelopeFrom: 'a@b.example' },
  ...{ from: { address: 'a@b.example' }, to: [{ address: 'a@b.example' }], cc: [], replyTo: [] },
  ...{ attachments: [], headers: [], references: [], content: { kind: 'template' } },
} as unknown as WirePayload

async function templateOf({ source, text }: { source: string; text?: string }): Promise<Template> {
  const parts = sourceOf({ source, partials: {} })
  const given = text === undefined ? parts : { ...parts, text: { name: 'mail.txt', text } }
  return Template.of(await compileTemplate(given, { critical, customHelpers: new Set() }), helpers)
}

/** From the data to the octets, or to an error. */
async function render(template: Template, v: string): Promise<void> {
  const data = { v, width: 1, map: { [v]: v } }
  try {
    compose(payload, await template.render({ data, variables: { locale: 'en' } }, critical))
  } catch (error) {
    if (!(error instanceof TemplateFailure)) throw error
  }
}

test.each(Object.entries(TEMPLATES))(
  'rendering and composing take time linear in the length of values: %s',
  async (_what, source) => {
    const template = await templateOf(source)
    for (const { part, of } of VALUES) {
      const slowdown = await slowdownOf((size) => render(template, of(size)), SIZES)
      expect(slowdown, JSON.stringify(part)).toBeUndefined()
    }
  },
  600_000,
)

test('a subject of more than 998 characters is cut between characters', () => {
  expect(toOneLine(`  Hello${' '.repeat(200_000)}\n`)).toBe('Hello')
  expect(toOneLine('x'.repeat(998))).toBe('x'.repeat(998))
  expect(toOneLine('x'.repeat(999))).toBe(`${'x'.repeat(997)}…`)
  expect(toOneLine(`${'x'.repeat(996)}👋👋`)).toBe(`${'x'.repeat(996)}…`)
})

test('line breaks in a subject, with the space around them, become one space', () => {
  expect(toOneLine('\n a \r\n\u2028 \n b\u0085\tc\n')).toBe('a b c')
})

/** Data with many elements at a time, which the parser believes to be open. */
const NESTED: Record<string, string> = {
  'elements that never end': '<b>',
  'end tags of other elements': '<b></i>',
  'end tags of an outer element': '<p><div><b></p>',
  lists: '<ul><li>',
  tables: '<table><tr><td>',
  'end tags in comments': '<b><!--</b>--><i><!--></i>',
  'end tags in CDATA': '<b><![CDATA[></b>]]>',
  'end tags in attributes': '<b title="</b>">',
  'end tags in a title': '<b><title></b></title>',
  'end tags in XMP': '<b><xmp></b></xmp>',
  'names that objects have': '<constructor><toString></constructor>',
  'quotes in an end tag': '<b></i x=">',
  'an end tag without a name': '<b></!">',
  'an equals sign before a name': '<b =">',
  'a no-break space in a name': '<b\u00a0>',
  'a title that closes itself': '<b><title / ></b></title>',
  'a longer name than that of the title': '<b><title></titles></title>',
  'foreign elements': '<svg><title/></svg><svg>',
}

test.each(Object.entries(NESTED))('nested data takes linear time: %s', async (_what, part) => {
  const toText = await loadHtmlToText()
  const long = (size: number): string => part.repeat(size / part.length)
  expect(await slowdownOf((size) => toText(long(size)), [100_000, 300_000, 900_000])).toBeUndefined()
  // And after everything that is removed at that depth.
  const deep = '<b>'.repeat(5_000)
  expect(await slowdownOf((size) => toText(deep + long(size)), [100_000, 300_000, 900_000])).toBeUndefined()
})

test.each(Object.entries(NESTED))('nested templates are compiled in linear time: %s', async (_what, part) => {
  const options = { critical, customHelpers: new Set<string>() }
  const compile = async (size: number, language: typeof htmlLanguage, wrap: (body: string) => string) => {
    const source = sourceOf({ source: wrap(part.repeat(size / part.length)), partials: {} })
    await language.compile(source, options).catch((error: unknown) => {
      if (!(error instanceof TemplateFailure)) throw error
    })
  }
  for (const [language, wrap] of [
    [mjmlLanguage, (body: string) => mail('', '', `<mj-text>${body}</mj-text>`)],
    [htmlLanguage, (body: string) => `<style>b { color: red }</style><div>${body}</div>`],
  ] as const)
    expect(
      await slowdownOf((size) => compile(size, language, wrap), [50_000, 150_000, 450_000]),
      language.name,
    ).toBeUndefined()
})

test('a long document without optional end tags keeps its layout', async () => {
  const toText = await loadHtmlToText()
  const rows = Array.from({ length: 3_000 }, (_, n) => n)
  const text = layOutText(toText(`<table>${rows.map((n) => `<tr><td>${n}<td>b`).join('')}</table>`))
  expect(
    text
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/)),
  ).toEqual(rows.map((n) => [`${n}`, 'b']))
  const list = layOutText(toText(`<ul>${rows.map((n) => `<li>${n}<br>`).join('')}</ul>`))
  expect(list.match(/\d+/g)).toEqual(rows.map(String))
})

test('an element whose name every object has is an element like any other', async () => {
  const toText = await loadHtmlToText()
  expect(toText('<p>a <constructor>b</constructor></p>')).toBe(toText('<p>a <span>b</span></p>'))
})

test('a script nested as deep as can be is no text', async () => {
  const toText = await loadHtmlToText()
  expect(toText(`${'<b>'.repeat(5_000)}<script>secret</script>`)).not.toContain('secret')
})

test('deeply nested HTML still gives a text part', async () => {
  const template = await templateOf({ source: mail('', '', '<mj-text>a {{{v}}} b</mj-text>') })
  const parts = await template.render(
    { data: { v: '<ul><li>'.repeat(5_000) }, variables: { locale: 'en' } },
    critical,
  )
  expect(parts.text).toMatch(/^a/)
  expect(parts.text.length).toBeLessThan(100_000)
})
