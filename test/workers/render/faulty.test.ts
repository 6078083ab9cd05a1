import { describe, expect, test } from 'vitest'
import { failure, mail, text, useTemplates } from './support/templates.js'

const { render, write } = useTemplates()

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
