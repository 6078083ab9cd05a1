import { describe, expect, test } from 'vitest'
import { failure, mail, text, useTemplates } from './support/templates.js'

const { render, write } = useTemplates()

describe('data of a message', () => {
  test('is escaped in HTML only, and its line breaks are removed in subjects', async () => {
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
  ])('is rejected in a URL if it is %j', async (url) => {
    await write({
      'a.mjml': mail('<mj-button href="{{url}}">x</mj-button>'),
      'b.mjml': text('<a href="{{{url}}}">x</a>'),
    })
    if (!url.startsWith('&')) expect((await failure(render('a', { url }))).message).toContain('scheme')
    expect((await failure(render('b', { url }))).message).toContain('scheme')
  })

  test('is checked in each part of a URL that is divided across blocks', async () => {
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

  test('ends a partial that calls itself, and endless recursion is an error', async () => {
    await write({
      'a.mjml': mail('<mj-text>{{> tree}}</mj-text>'),
      'partials/tree.mjml': '<b>{{name}}</b>{{#each kids}}{{> tree}}{{/each}}',
      'b.mjml': text('{{> loop}}'),
      'partials/loop.mjml': '{{> loop}}',
    })
    expect((await render('a', { name: 'a', kids: [{ name: 'b', kids: [] }] })).text).toBe('ab\n')
    expect((await failure(render('b'))).message).toContain('call itself forever')
  })

  test('is rejected if a raw value contains MJML tags', async () => {
    await write({
      'a.mjml': text('{{{x}}}'),
      'b.mjml': mail(
        '<mj-carousel>{{#if y}}{{/if}}<mj-carousel-image src="a" /></mj-carousel><mj-text>{{{x}}}</mj-text>',
      ),
    })
    for (const name of ['a', 'b'])
      expect((await failure(render(name, { x: '</mj-text><mj-raw>x', y: 1 }))).message).toContain('MJML')
  })

  test('gives no access to prototypes', async () => {
    await write({
      'a.mjml': text(
        '{{#if constructor}}c{{/if}}{{#if __proto__}}p{{/if}}{{#if x.toString}}t{{/if}}{{#with (lookup x "constructor")}}w{{else}}none{{/with}}',
      ),
    })
    expect((await render('a', { x: {} })).text).toBe('none\n')
  })

  test('is not evaluated as Handlebars', async () => {
    await write({ 'a.mjml': text('{{x}} {{{x}}}') })
    expect((await render('a', { x: '{{y}}' })).text).toBe('{{y}} {{y}}\n')
  })
})
