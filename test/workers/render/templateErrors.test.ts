import { describe, expect, test } from 'vitest'
import { failure, mail, text, useTemplates } from './support/templates.js'

const { render, write } = useTemplates()

describe('a template error', () => {
  test.each([
    ['a block with the wrong end tag', '{{#if a}}x{{/each}}', 2],
    ['an unclosed block', '<mj-text>{{#if a}}</mj-text>', 3],
    ['an unknown component', '<mj-txt>x</mj-txt>', 2],
    ['HTML between components', '<p>x</p>', 2],
    ['an unknown partial', '<mj-text>\n{{> nope}}</mj-text>', 3],
    ['an unknown helper', '<mj-text>\n{{nope 1}}</mj-text>', 3],
  ])('has the file, line and column of %s', async (_what, body, line) => {
    await write({ 'a.mjml': mail(body) })
    const { code, message, details } = await failure(render('a', { a: 1 }))
    expect(code).toBe('TEMPLATE_ERROR')
    expect(details.location).toMatchObject({ file: 'a.mjml', line })
    expect(details.location?.column).toBeGreaterThan(0)
    expect(details.location?.excerpt).toBeTypeOf('string')
    expect(message).toMatch(/^a\.mjml:\d+:\d+: /)
  })

  test('has the place of a helper that throws', async () => {
    await write({
      'helpers.js': 'export function boom() { throw new Error("kaput") }',
      'a.mjml': text('{{boom}}'),
    })
    const { message, details } = await failure(render('a'))
    expect(message).toContain("the helper 'boom' failed: kaput")
    expect(details.location).toMatchObject({ file: 'a.mjml', line: 2, column: 10 })
  })
})

describe('a template error in the author’s terms', () => {
  test.each([
    ...[
      '{{#each x as |a}}{{/each}}',
      '{{#if a}}x',
      '{{/if}}',
      '{{else}}',
      '{{else if x}}',
      '{{a b=}}',
      '{{a (b}}',
    ],
    ...[
      '{{a )}}',
      '{{a |b|}}',
      '{{> }}',
      '{{}}',
      '{{{a}}',
      '{{a}}}',
      '{{@}}',
      '{{= a}}',
      '{{#each}}',
      '{{^}}',
    ],
    ...[
      '{{{{raw}}}} x',
      '{{a %}}',
      '{{!-- x',
      '{{#> p}}',
      '{{#if a}}{{^}}{{^}}{{/if}}',
      "{{a 'b}}",
      '{{a.[b}}',
    ],
    ...[
      '{{> (a}}',
      '{{a as |b|}}',
      '{{#a}}{{{{/a}}}}',
      '{{a 1=2}}',
      '{{a b=c=d}}',
      '{{a true=1}}',
      '{{a null=1}}',
    ],
    ...[
      '{{a undefined=1}}',
      '{{a "b"=1}}',
      '{{a.b@c}}',
      '{{a . b}}',
      '{{#*inline}}',
      '{{{{a}}}} b {{{{/c}}}}',
    ],
  ])('names no token of the parser: %s', async (source) => {
    await write({ 'a.mjml': text(source) })
    const { message } = await failure(render('a', { a: 1 }))
    expect(message).toMatch(/^a\.mjml:\d+:\d+: /)
    expect(message).not.toMatch(/[A-Z]{2,}(?:_[A-Z]+)*\b|got |Expecting/)
  })

  test('says which block is closed by another', async () => {
    await write({ 'a.mjml': text('{{#if a}}x{{/each}}') })
    expect((await failure(render('a', { a: 1 }))).message).toContain('{{#if}} is closed by {{/each}}')
  })

  test.each(['t', 'default', 'plural', 'formatDate', 'eq', 'not', 'lookup'])(
    'says what to write for data that is named like the helper %s',
    async (name) => {
      await write({
        'a.mjml': text(`{{${name}}}`),
        'b.mjml': text(`{{#${name}}}x{{/${name}}}`),
        'c.mjml': text(`{{this.${name}}} {{#each @root.list as |${name}|}}{{${name}}}{{/each}}`),
      })
      for (const template of ['a', 'b'])
        expect((await failure(render(template, { [name]: 'x' }))).message).toContain(`{{this.${name}}}`)
      expect((await render('c', { [name]: 'x', list: ['y'] })).text).toBe('x y\n')
    },
  )

  test('does not concern a helper of the project', async () => {
    await write({ 'helpers.js': 'export const t = () => "own"', 'a.mjml': text('{{t}}') })
    expect((await render('a')).text).toBe('own\n')
  })
})

describe('missing data', () => {
  test('is an error that lists every path', async () => {
    await write({ 'a.mjml': text('{{name}} {{user.city}} {{#each items}}{{price}}{{/each}}') })
    const { code, details } = await failure(render('a', { user: {}, items: [{ price: 1 }, {}] }))
    expect(code).toBe('MISSING_DATA')
    expect(details.missing).toEqual(['name', 'user.city', 'items[1].price'])
  })

  test('may be tested by a condition or a default, and empty values are not missing', async () => {
    await write({
      'a.mjml': text(
        '{{#if a}}{{a}}{{/if}}{{#unless b}}no b{{/unless}} {{default c "none"}} {{d}}{{e}}{{f}}{{g}}',
      ),
    })
    expect((await render('a', { d: '', e: 0, f: false, g: null })).text).toBe('no b none 0false\n')
  })
})
