import { symlink } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { failure, mail, text, useTemplates } from './support/templates.js'

const folder = useTemplates()
const { render, write } = folder

describe('a template folder', () => {
  test('has variants by locale, with fallbacks', async () => {
    await write({ 'hi.mjml': text('Hello'), 'hi.fr.mjml': text('Bonjour'), 'hi.pt-BR.mjml': text('Oi') })
    expect((await render('hi', {}, 'fr-CA')).text).toBe('Bonjour\n')
    expect((await render('hi', {}, 'pt_BR')).text).toBe('Oi\n')
    expect((await render('hi', {}, 'de')).text).toBe('Hello\n')
    expect((await render('hi')).text).toBe('Hello\n')
  })

  test('shows each change of a file to previews within a moment', async () => {
    for (let n = 0; n < 20; n++) {
      await write({ 'hi.mjml': text(`Hello {{> part}} ${n}`), 'partials/part.mjml': `${n * n}` })
      const shown = async () => {
        folder.renderer.recheck()
        return (await render('hi')).text
      }
      await expect.poll(shown, { interval: 1 }).toBe(`Hello ${n * n} ${n}\n`)
    }
  })

  test('ignores README files, also among the partials', async () => {
    await write({
      'hi.mjml': text('Hello'),
      'README.md': '# {{#if}} <mjml>',
      'partials/README.md': '# {{#if}} <mjml>',
    })
    expect((await folder.renderer.catalogue()).templates.map(({ name }) => name)).toEqual(['hi'])
    expect((await render('hi')).text).toBe('Hello\n')
  })

  test('has partials, which may open an element that another partial closes', async () => {
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

  test('omits content that is hidden from screen readers from the text part', async () => {
    await write({ 'a.mjml': text('<span aria-hidden="true">&nbsp;★</span>Hello {{name}}') })
    expect((await render('a', { name: 'Ada' })).text).toBe('Hello Ada\n')
  })

  test('has layouts with blocks that templates fill', async () => {
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

  test('has includes with expressions and heads', async () => {
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
    ['nowhere.mjml', 'has no file'],
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

  test('does not follow links out of the folder', async () => {
    await write({ 'hi.mjml': text('Hello') })
    await symlink('/etc/hostname', path.join(folder.dir, 'leak.mjml'))
    expect((await failure(render('leak'))).code).toBe('UNKNOWN_TEMPLATE')
  })

  test('is read again when a file changes', async () => {
    await write({ 'a.mjml': text('one {{> p}}'), 'partials/p.mjml': 'p1' })
    expect((await render('a')).text).toBe('one p1\n')
    await write({ 'partials/p.mjml': 'p2!', 'b.mjml': text('new') })
    // It checks the files at intervals, which are longer if a check takes long.
    await expect.poll(async () => (await render('a')).text).toBe('one p2!\n')
    expect((await render('b')).text).toBe('new\n')
  })

  test('has its own helpers and strings, and format helpers', async () => {
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

test('the catalog contains the needs, shape, policy and sample data of each template', async () => {
  await write({
    'a.mjml': mail(
      '<mj-text>{{#if vip}}{{code}}{{/if}}{{#each items}}{{price}}{{/each}}</mj-text>',
      '<mj-title>{{name}}</mj-title>',
    ),
    'a.json': '{"@policy": {"priority": 9, "expiresAfter": 60000}, "name": "Ada"}',
    'broken.mjml': '{{#if x}}',
  })
  const { templates } = await folder.renderer.catalogue()
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
