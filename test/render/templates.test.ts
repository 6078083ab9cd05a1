import { mkdtemp, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { JsonObject, JsonText, RenderedParts } from '../../src/wire.js'
import { createRenderer } from '../../workers/render/createRenderer.js'
import { TemplateFailure } from '../../workers/render/failure.js'
import type { Renderer } from '../../workers/render/renderer.js'
import { critical } from './support/both.js'

let dir: string
let renderer: Renderer

beforeEach(async () => {
  dir = await mkdtemp(path.join(os.tmpdir(), 'threadpost-templates-'))
  renderer = createRenderer({ templates: { dir, globals: { product: 'Northwind' } } })
})
afterEach(() => rm(dir, { recursive: true, force: true }))

async function write(files: Record<string, string>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(dir, name)
    await mkdir(path.dirname(file), { recursive: true })
    await writeFile(file, text)
  }
}

const render = (name: string, data: JsonObject = {}, locale?: string): Promise<RenderedParts> =>
  renderer.render(
    {
      content: {
        kind: 'template',
        name,
        data: JSON.stringify(data) as JsonText,
        ...(locale === undefined ? {} : { locale }),
      },
    },
    critical,
  )

async function failure(work: Promise<unknown>): Promise<TemplateFailure> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(TemplateFailure)
  return error as TemplateFailure
}

const mail = (body: string, head = ''): string =>
  `<mjml><mj-head>${head}</mj-head><mj-body><mj-section><mj-column>\n${body}\n</mj-column></mj-section></mj-body></mjml>`
const text = (content: string): string => mail(`<mj-text>${content}</mj-text>`)

describe('a template folder', () => {
  test('has variants by locale, with fallback', async () => {
    await write({ 'hi.mjml': text('Hello'), 'hi.fr.mjml': text('Bonjour'), 'hi.pt-BR.mjml': text('Oi') })
    expect((await render('hi', {}, 'fr-CA')).text).toBe('Bonjour\n')
    expect((await render('hi', {}, 'pt_BR')).text).toBe('Oi\n')
    expect((await render('hi', {}, 'de')).text).toBe('Hello\n')
    expect((await render('hi')).text).toBe('Hello\n')
  })

  test('has partials, even those that open what another closes', async () => {
    await write({
      'a.mjml':
        '<mjml><mj-body>{{> open}}<mj-text>{{name}}</mj-text>{{> close}}{{> sub/foot by=name}}</mj-body></mjml>',
      'partials/open.mjml': '<mj-section><mj-column>',
      'partials/close.mjml': '</mj-column></mj-section>',
      'partials/sub/foot.mjml':
        '<mj-section><mj-column><mj-text>by {{by}}</mj-text></mj-column></mj-section>',
    })
    expect((await render('a', { name: 'Ada' })).text).toBe('Ada\nby Ada\n')
  })

  test('what is hidden from screen readers is left out of the text', async () => {
    await write({ 'a.mjml': text('<span aria-hidden="true">&nbsp;★</span>Hello {{name}}') })
    expect((await render('a', { name: 'Ada' })).text).toBe('Hello Ada\n')
  })

  test('has layouts with blocks that a template fills', async () => {
    await write({
      'layouts/base.mjml': mail(
        '{{#block "main"}}<mj-text>nothing</mj-text>{{/block}}{{#block "end"}}<mj-text>bye</mj-text>{{/block}}',
      ),
      'a.mjml':
        '{{#extend "base"}}{{#content "main"}}<mj-text>{{name}}</mj-text>{{/content}}{{#content "end" mode="prepend"}}<mj-text>PS</mj-text>{{/content}}{{/extend}}',
      'b.mjml': '{{#extend "base"}}{{/extend}}',
    })
    expect((await render('a', { name: 'Ada' })).text).toBe('Ada\nPS\nbye\n')
    expect((await render('b')).text).toBe('nothing\nbye\n')
  })

  test('has includes, expressions in them too, and their heads', async () => {
    await write({
      'a.mjml': '<mjml><mj-body><mj-include path="./shared/part.mjml" /></mj-body></mjml>',
      'shared/part.mjml':
        '<mjml><mj-head><mj-title>T {{name}}</mj-title></mj-head><mj-body><mj-section><mj-column><mj-text>{{name}}</mj-text></mj-column></mj-section></mj-body></mjml>',
    })
    const parts = await render('a', { name: 'Ada' })
    expect(parts.text).toBe('Ada\n')
    expect(parts.html).toContain('<title>T Ada</title>')
  })

  test.each([
    ['/etc/passwd', 'stays in the template folder'],
    ['../../secret.mjml', 'leads out'],
    ['%2e%2e/secret.mjml', 'stays in the template folder'],
    ['nowhere.mjml', 'finds no file'],
    ['a.mjml', 'includes itself'],
  ])('refuses to include %s', async (include, why) => {
    await write({ 'a.mjml': mail(`<mj-include path="${include}" />`) })
    const { code, message, details } = await failure(render('a'))
    expect(code).toBe('TEMPLATE_ERROR')
    expect(message).toContain(why)
    expect(details.location).toMatchObject({ file: 'a.mjml', line: 2, column: 1 })
  })

  test.each(['../hi', '/etc/passwd', '%2e%2e/hi', 'hi\0', 'partials/p', '__proto__', 'constructor'])(
    'has no template %j',
    async (name) => {
      await write({ 'hi.mjml': text('Hello'), 'partials/p.mjml': text('x') })
      expect((await failure(render(name))).code).toBe('UNKNOWN_TEMPLATE')
    },
  )

  test('follows no link out of the folder', async () => {
    await write({ 'hi.mjml': text('Hello') })
    await symlink('/etc/hostname', path.join(dir, 'leak.mjml'))
    expect((await failure(render('leak'))).code).toBe('UNKNOWN_TEMPLATE')
  })

  test('is read again when a file changes', async () => {
    await write({ 'a.mjml': text('one {{> p}}'), 'partials/p.mjml': 'p1' })
    expect((await render('a')).text).toBe('one p1\n')
    await new Promise((resolve) => setTimeout(resolve, 60))
    await write({ 'partials/p.mjml': 'p2!', 'b.mjml': text('new') })
    expect((await render('a')).text).toBe('one p2!\n')
    expect((await render('b')).text).toBe('new\n')
  })

  test('has helpers of its own, strings and formats', async () => {
    await write({
      'helpers.js':
        'export function shout(text) { return text.toUpperCase() }\nexport const twice = function (options) { return options.fn(this) + options.fn(this) }',
      'locales/en.json': '{"order": {"thanks": "Thanks, {name}"}}',
      'locales/de.json': '{"order": {"thanks": "Danke, {name}"}}',
      'a.mjml': text(
        '{{shout name}} {{#twice}}{{name}};{{/twice}} {{t "order.thanks" name=name}} {{formatCurrency total "EUR"}} {{plural n one="# day" other="# days"}} {{formatDate day}} {{@app.product}}',
      ),
    })
    const data = { name: 'Ada', total: 1234.5, n: 2, day: '2026-03-01T00:00:00Z' }
    expect((await render('a', data)).text).toBe(
      'ADA Ada;Ada; Thanks, Ada €1,234.50 2 days March 1, 2026 Northwind\n',
    )
    expect((await render('a', data, 'de')).text).toBe(
      'ADA Ada;Ada; Danke, Ada 1.234,50\u00a0€ 2 days 1. März 2026 Northwind\n',
    )
  })
})

describe('what is wrong has a place', () => {
  test.each([
    ['a block that is closed as another', '{{#if a}}x{{/each}}', 2],
    ['a block that is not closed', '<mj-text>{{#if a}}</mj-text>', 3],
    ['an unknown component', '<mj-txt>x</mj-txt>', 2],
    ['HTML between components', '<p>x</p>', 2],
    ['an unknown partial', '<mj-text>\n{{> nope}}</mj-text>', 3],
    ['an unknown helper', '<mj-text>\n{{nope 1}}</mj-text>', 3],
  ])('%s', async (_what, body, line) => {
    await write({ 'a.mjml': mail(body) })
    const { code, message, details } = await failure(render('a', { a: 1 }))
    expect(code).toBe('TEMPLATE_ERROR')
    expect(details.location).toMatchObject({ file: 'a.mjml', line })
    expect(details.location?.column).toBeGreaterThan(0)
    expect(details.location?.excerpt).toBeTypeOf('string')
    expect(message).toMatch(/^a\.mjml:\d+:\d+: /)
  })

  test('a helper that throws', async () => {
    await write({
      'helpers.js': 'export function boom() { throw new Error("kaput") }',
      'a.mjml': text('{{boom}}'),
    })
    const { message, details } = await failure(render('a'))
    expect(message).toContain("the helper 'boom' failed: kaput")
    expect(details.location).toMatchObject({ file: 'a.mjml', line: 2, column: 10 })
  })
})

describe('missing data', () => {
  test('is an error with every path', async () => {
    await write({ 'a.mjml': text('{{name}} {{user.city}} {{#each items}}{{price}}{{/each}}') })
    const { code, details } = await failure(render('a', { user: {}, items: [{ price: 1 }, {}] }))
    expect(code).toBe('MISSING_DATA')
    expect(details.missing).toEqual(['name', 'user.city', 'items[1].price'])
  })

  test('is none where a condition or a default asks for it, and nothing is data', async () => {
    await write({
      'a.mjml': text(
        '{{#if a}}{{a}}{{/if}}{{#unless b}}no b{{/unless}} {{default c "none"}} {{d}}{{e}}{{f}}{{g}}',
      ),
    })
    expect((await render('a', { d: '', e: 0, f: false, g: null })).text).toBe('no b none 0false\n')
  })
})

describe('data is only data', () => {
  test('it is escaped in HTML and as it is elsewhere; subjects are one line', async () => {
    await write({
      'a.mjml': mail(
        '<mj-text>{{x}}</mj-text>',
        '<mj-title>Re &amp; {{x}}</mj-title><mj-preview>{{x}}</mj-preview>',
      ),
    })
    const parts = await render('a', { x: '<b>&\r\n "x"' })
    expect(parts.html).toContain('&lt;b&gt;&amp;\r\n &quot;x&quot;')
    expect(parts.subject).toBe('Re & <b>& "x"')
    expect(parts.preheader).toBe('<b>& "x"')
    expect(parts.text).toBe('<b>& "x"\n')
  })

  test.each([
    'javascript:alert(1)',
    ' JavaScript:x',
    'java\nscript:x',
    'data:text/html,x',
    'vbscript:x',
    '&#106;avascript:x',
  ])('a URL can not be %j', async (url) => {
    await write({
      'a.mjml': mail('<mj-button href="{{url}}">x</mj-button>'),
      'b.mjml': text('<a href="{{{url}}}">x</a>'),
    })
    if (!url.startsWith('&')) expect((await failure(render('a', { url }))).message).toContain('scheme')
    expect((await failure(render('b', { url }))).message).toContain('scheme')
  })

  test('a URL in parts is looked at in parts', async () => {
    await write({
      'a.mjml': text('<a {{#if x}}href="{{url}}"{{/if}}>x</a>'),
      'b.mjml': text('{{#if x}}<a href="{{url}}{{else}}<a href="/{{/if}}">x</a>'),
      'c.mjml': text('<a href={{url}}>x</a>'),
      'd.mjml': text('<a href="https://x.example/?next={{url}}">x</a>'),
    })
    const data = { x: true, url: 'javascript:alert(1)' }
    for (const name of ['a', 'b', 'c'])
      expect((await failure(render(name, data))).message).toContain('scheme')
    expect((await render('d', data)).text).toContain('next=javascript:alert(1)')
  })

  test('a partial that calls itself may end, or not', async () => {
    await write({
      'a.mjml': mail('<mj-text>{{> tree}}</mj-text>'),
      'partials/tree.mjml': '<b>{{name}}</b>{{#each kids}}{{> tree}}{{/each}}',
      'b.mjml': text('{{> loop}}'),
      'partials/loop.mjml': '{{> loop}}',
    })
    expect((await render('a', { name: 'a', kids: [{ name: 'b', kids: [] }] })).text).toBe('ab\n')
    expect((await failure(render('b'))).message).toContain('without end')
  })

  test('a raw value can not open MJML', async () => {
    await write({
      'a.mjml': text('{{{x}}}'),
      'b.mjml': mail(
        '<mj-carousel>{{#if y}}{{/if}}<mj-carousel-image src="a" /></mj-carousel><mj-text>{{{x}}}</mj-text>',
      ),
    })
    for (const name of ['a', 'b'])
      expect((await failure(render(name, { x: '</mj-text><mj-raw>x', y: 1 }))).message).toContain('MJML')
  })

  test('it reaches no prototype', async () => {
    await write({
      'a.mjml': text(
        '{{#if constructor}}c{{/if}}{{#if __proto__}}p{{/if}}{{#if x.toString}}t{{/if}}{{#with (lookup x "constructor")}}w{{else}}none{{/with}}',
      ),
    })
    expect((await render('a', { x: {} })).text).toBe('none\n')
  })

  test('it opens no Handlebars', async () => {
    await write({ 'a.mjml': text('{{x}} {{{x}}}') })
    expect((await render('a', { x: '{{y}}' })).text).toBe('{{y}} {{y}}\n')
  })
})

describe('the text part', () => {
  test('reads well', async () => {
    await write({
      'a.mjml': mail(
        '<mj-text><h1>Hi {{name}}</h1><ul>{{#each items}}<li>{{this}}</li>{{/each}}</ul><ol><li>one</li><li>two</li></ol></mj-text>' +
          '<mj-table><tr><th>Item</th><th>Price</th></tr>{{#each rows}}<tr><td>{{a}}</td><td>{{b}}</td></tr>{{/each}}</mj-table>' +
          '<mj-button href="{{url}}">Open</mj-button><mj-text><a href="mailto:{{mail}}">{{mail}}</a></mj-text>',
        '<mj-preview>hidden</mj-preview>',
      ),
    })
    const data = {
      name: 'Ada',
      items: ['x', 'y'],
      rows: [
        { a: 'pen', b: '$1' },
        { a: 'ink', b: '$2' },
      ],
      url: 'https://x.example/?a=1&b=2',
      mail: 'a@b.example',
    }
    expect((await render('a', data)).text).toBe(
      'Hi Ada\n\n- x\n- y\n\n1. one\n2. two\n\nItem  Price\npen  $1\nink  $2\nOpen [https://x.example/?a=1&b=2]\na@b.example\n',
    )
  })

  test('can be a file of its own', async () => {
    await write({
      'a.mjml': text('Hello {{name}}'),
      'a.txt': 'Plain {{name}}\n{{> sign}}',
      'partials/sign.txt': '-- us',
    })
    expect((await render('a', { name: '<Ada>' })).text).toBe('Plain <Ada>\n-- us')
  })

  test('converts raw values', async () => {
    await write({ 'a.mjml': text('{{{html}}}') })
    expect(
      (await render('a', { html: '<p>One</p><p>Two &amp; <a href="https://x.example">three</a></p>' })).text,
    ).toBe('One\n\nTwo & three [https://x.example]\n')
  })
})

test('inline styles and dark mode survive', async () => {
  const head =
    '<mj-style inline="inline">.hot div { font-weight: bold }</mj-style><mj-style>@media (prefers-color-scheme: dark) { .hot { color: {{dark}} } }</mj-style>'
  await write({ 'a.mjml': mail('<mj-text css-class="hot">{{x}}</mj-text>', head) })
  const { html } = await render('a', { x: 'y', dark: '#eee' })
  expect(html).toContain('font-weight: bold')
  expect(html).toContain('@media (prefers-color-scheme: dark) { .hot { color: #eee } }')
})

test('the catalogue says what a template needs and offers', async () => {
  await write({
    'a.mjml': mail(
      '<mj-text>{{#if vip}}{{code}}{{/if}}{{#each items}}{{price}}{{/each}}</mj-text>',
      '<mj-title>{{name}}</mj-title>',
    ),
    'a.json': '{"@policy": {"priority": 9, "expiresAfter": 60000}, "name": "Ada"}',
    'broken.mjml': '{{#if x}}',
  })
  const { templates } = await renderer.catalogue()
  const [a, broken] = templates
  expect(a).toMatchObject({
    name: 'a',
    hasSubject: true,
    policy: { priority: 9, expiresAfter: 60_000 },
    sample: { name: 'Ada' },
    shape: {
      fields: {
        vip: { optional: true },
        code: { optional: true },
        items: { items: { fields: { price: {} } } },
        name: {},
      },
    },
  })
  expect(broken?.error).toContain('broken.mjml:1:')
})
