import { convert } from 'html-to-text'
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../../src/protocol/tasks.js'
import { PerMessageTemplate } from '../../../workers/render/perMessageTemplate.js'
import { Template } from '../../../workers/render/template.js'
import { compile, critical, helpers } from './support/both.js'
import { mail, text, useTemplates } from './support/templates.js'

const { render, write } = useTemplates()

describe('the text part', () => {
  test('has headings, lists, tables and links as readable text', async () => {
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

  test('can come from its own file', async () => {
    await write({
      'a.mjml': text('Hello {{name}}'),
      'a.txt': 'Plain {{name}}\n{{> sign}}',
      'partials/sign.txt': '-- us',
    })
    expect((await render('a', { name: '<Ada>' })).text).toBe('Plain <Ada>\n-- us')
  })

  test('converts raw values from HTML', async () => {
    await write({ 'a.mjml': text('{{{html}}}') })
    expect(
      (await render('a', { html: '<p>One</p><p>Two &amp; <a href="https://x.example">three</a></p>' })).text,
    ).toBe('One\n\nTwo & three [https://x.example]\n')
  })
})

/** HTML and its text, where `X` is in a hidden element. */
const HIDDEN = [
  '<div hidden>X</div>',
  '<div hidden="">X</div>',
  '<div style="display:none">X</div>',
  '<div style="display: none">X</div>',
  '<div style="color: red; DISPLAY : None !important; margin: 0">X</div>',
  '<div style="visibility:hidden">X</div>',
  '<div style="visibility: collapse;">X</div>',
  '<div style="max-height:0">X</div>',
  '<div style="max-height: 0px; overflow: hidden">X</div>',
  '<table style="max-height:0em"><tr><td>X</td></tr></table>',
  '<span><b style="display: none">X</b></span>',
  '<a href="https://x.example" style="display: none">X</a>',
  '<img alt="X" style="visibility: hidden">',
  '<ul hidden><li>X</li></ul>',
]
const SHOWN = [
  '<div style="max-height: 10px">X</div>',
  '<div style="max-height: 0.5em">X</div>',
  '<div style="x-display: none">X</div>',
  '<div style="display: none-such">X</div>',
  '<div style="color: none" title="hidden">X</div>',
]

describe('the text part, precompiled and rendered per message', () => {
  const both = async (content: string, data: JsonObject = {}) => {
    const compiled = await compile({ source: text(content), partials: {} })
    expect(compiled.findings).toEqual([])
    const input = { data, variables: { locale: 'en' } }
    const precompiled = (await (await Template.of(compiled, helpers)).render(input, critical)).text
    const perMessage = await new PerMessageTemplate(compiled.trees, helpers).render(input, critical)
    expect(perMessage.text).toBe(precompiled)
    return precompiled
  }

  test.each(HIDDEN)('leaves out what is hidden: %s', async (html) => {
    expect(await both(`a${html} b`)).toBe('a b\n')
    expect(await both('a{{{html}}} b', { html })).toBe('a b\n')
  })

  test.each(SHOWN)('shows what is not hidden: %s', async (html) => {
    expect(await both(`a ${html}`)).toContain('X')
  })

  test('depends on the data if that decides what is hidden', async () => {
    const content =
      'a<i style="display: {{d}}">1</i><i style="{{s}}">2</i><i {{#if h}}hidden{{/if}}>3</i><i {{#if h}}style="display:none"{{/if}}>4</i>'
    expect(await both(content, { d: 'none', s: 'max-height:0', h: true })).toBe('a\n')
    expect(await both(content, { d: 'block', s: 'color:red', h: false })).toBe('a1234\n')
  })

  test('has the address of adjacent links with the same address once', async () => {
    const icons = mail(
      '<mj-social><mj-social-element name="facebook-noshare" href="{{url}}">Facebook</mj-social-element><mj-social-element name="x-noshare" href="https://x.example/b" /></mj-social>',
    )
    await write({ 'icons.mjml': icons })
    const url = 'https://x.example/a'
    expect((await render('icons', { url })).text).toBe(`Facebook [${url}]\nhttps://x.example/b\n`)
    expect(await both('<a href="{{url}}"><img></a> <a href="{{url}}">A</a>', { url })).toBe(`A [${url}]\n`)
    expect(await both('<a href="{{url}}">A</a><a href="{{url}}"><img></a>, b', { url })).toBe(
      `A [${url}], b\n`,
    )
    expect(await both('<a href="{{url}}">A</a>, <a href="{{url}}">B</a>', { url })).toBe(
      `A [${url}], B [${url}]\n`,
    )
  })

  test('numbers lists from their start', async () => {
    expect(await both('<ol start="5"><li>a</li><li>b</li></ol>')).toBe('5. a\n6. b\n')
    expect(await both('<ol start="-1"><li>a</li><li>b</li></ol>')).toBe('-1. a\n0. b\n')
    expect(await both('<ol start="x"><li>a</li></ol>')).toBe('1. a\n')
    expect(await both('<ol start="{{n}}"><li>{{n}}</li></ol>', { n: 7 })).toBe('7. 7\n')
  })

  test.each([
    'a  b\n  c\n\nd',
    '  a\n\tb',
    '<b>a</b>  <i> b</i>',
    'a<br>b',
    'a\n<i hidden>x</i> b',
    '&lt;a&gt;  b',
  ])('keeps the white space of preformatted text as html-to-text does: %j', async (pre) => {
    const expected = convert(`x<pre>${pre}</pre>y`, {
      wordwrap: false,
      selectors: [{ selector: '[hidden]', format: 'skip' }],
    })
    expect(await both(`x<pre>${pre}</pre>y`)).toBe(`${expected}\n`)
  })

  test('keeps the white space of data in preformatted text', async () => {
    const content = 'x<pre>{{a}}\n {{a}}</pre>{{a}}'
    expect(await both(content, { a: 'l1\n  l2 ' })).toBe('x\n\nl1\n  l2 \n l1\n  l2\n\nl1 l2\n')
    expect(await both('<pre>{{{html}}}</pre>', { html: '<b>a</b>  b\n c' })).toBe('a  b\n c\n')
  })
})

test('a rendered template keeps inline styles and dark mode', async () => {
  const head =
    '<mj-style inline="inline">.hot div { font-weight: bold }</mj-style><mj-style>@media (prefers-color-scheme: dark) { .hot { color: {{dark}} } }</mj-style>'
  await write({ 'a.mjml': mail('<mj-text css-class="hot">{{x}}</mj-text>', head) })
  const { html } = await render('a', { x: 'y', dark: '#eee' })
  expect(html).toContain('font-weight: bold')
  expect(html).toContain('@media (prefers-color-scheme: dark) { .hot { color: #eee } }')
})
