import { describe, expect, test } from 'vitest'
import { failure, text, useTemplates } from './support/templates.js'

const { render, write } = useTemplates()

const customers = [
  {
    name: 'Ada',
    orders: [
      { name: 'first', lines: [], v: true },
      { name: 'second', lines: ['pen'] },
    ],
  },
  { name: 'Bob', orders: [] },
]
const data = { customers, names: ['n', 'm'], title: 'T', pair: { a: 'A' }, user: null, one: ['o'] }

async function rendered(content: string, partials: Record<string, string> = {}): Promise<string> {
  const files = Object.entries(partials).map(([name, source]) => [`partials/${name}.mjml`, source])
  await write({ 'a.mjml': text(content), ...(Object.fromEntries(files) as Record<string, string>) })
  return (await render('a', data)).text.trimEnd()
}

describe('a block parameter refers to its own block', () => {
  test.each([
    [
      'in the else of an inner each',
      '{{#each customers as |customer|}}{{#each customer.orders as |order|}}{{#each order.lines}}{{this}}{{else}}order {{order.name}} is empty, {{/each}}{{/each}}{{/each}}',
      'order first is empty, pen',
    ],
    [
      'in the else of its own block',
      '{{#each names as |x|}}{{#each x}}{{else}}{{x}}{{/each}}{{/each}}',
      'nm',
    ],
    [
      'in an else if',
      '{{#each customers.0.orders as |x|}}{{#each x.lines}}{{this}}{{else if x.v}}{{x.name}}{{else}}none{{/each}}{{/each}}',
      'firstpen',
    ],
    [
      'in an else each and in what follows it',
      '{{#with pair as |p|}}{{#if p.b}}b{{else each p.b as |q|}}{{q}}{{else with p.c}}c{{else}}{{p.a}}{{/if}}{{/with}}',
      'A',
    ],
    ['in the else of a with', '{{#with pair as |p|}}{{#with p.b}}b{{else}}{{p.a}}{{/with}}{{/with}}', 'A'],
    ['in the inverse of a section', '{{#with pair as |p|}}{{#p.b}}b{{^}}{{p.a}}{{/p.b}}{{/with}}', 'A'],
    ['in an inverse block', '{{#with pair as |p|}}{{^p.b}}{{p.a}}{{/p.b}}{{/with}}', 'A'],
    ['as an item of a section', '{{#names as |n i|}}{{i}}{{n}}{{/names}}', '0n1m'],
    ['where it has the name of a variable', '{{#each pair as |value index|}}{{@index}}{{/each}}', 'a'],
  ])('%s', async (_where, source, expected) => {
    expect(await rendered(source)).toBe(expected)
  })

  test('in the block and the inverse of a custom helper', async () => {
    await write({
      'helpers.js':
        'export const twice = (value, { fn, inverse, data, blockParams }) => fn(value, { data: { ...data, n: blockParams }, blockParams: [value, "y"] }) + inverse(value)',
    })
    const source =
      '{{#with pair as |p|}}{{#twice p.a as |x y|}}{{this}}{{x}}{{y}}{{p.a}}{{@n}}{{else}}{{p.a}}{{../a}}{{/twice}}{{/with}}'
    expect(await rendered(source)).toBe('AAyA2AA')
  })

  test('and is missing if its block has no value for it, even if an outer block has one', async () => {
    await write({
      'a.mjml': text('{{#with title as |x|}}{{#@root.pair as |x|}}{{x}}{{/@root.pair}}{{/with}}'),
    })
    expect((await failure(render('a', data))).details.missing).toEqual(['x'])
  })

  test('and a missing path through it is reported as a path from the root of the data', async () => {
    await write({
      'a.mjml': text('{{#each customers as |c|}}{{#each c.orders as |o|}}{{o.price}}{{/each}}{{/each}}'),
    })
    expect((await failure(render('a', data))).details.missing).toEqual([
      'customers[0].orders[0].price',
      'customers[0].orders[1].price',
    ])
  })
})

describe('a partial', () => {
  test.each<[string, string, Record<string, string>, string]>([
    [
      'evaluates a block where it was written',
      '{{#each names}}{{#> p}}{{this}}{{..}}{{../../title}}{{@index}}{{/p}}{{/each}}',
      { p: '{{#with @root.pair}}[{{> @partial-block @root.title}}]{{/with}}' },
      '[TnT0][TmT1]',
    ],
    [
      'knows whether it was given a block',
      '{{> p}} {{#> p}}B{{/p}}',
      { p: '{{#if @partial-block}}given {{> @partial-block}}{{else}}none{{/if}}' },
      'none given B',
    ],
    [
      'shows a default for its block only without one',
      '{{> p}} {{#> p}}B{{/p}}',
      { p: '{{#> @partial-block}}default{{/@partial-block}}' },
      'default B',
    ],
    [
      'may be called in a block for itself',
      '{{#> p}}a{{#> p}}b{{/p}}{{/p}}',
      { p: '[{{> @partial-block}}]' },
      '[a[b]]',
    ],
    [
      'has its parameters in the order of Handlebars',
      '{{> p pair y=1 x=2}}',
      { p: '{{#each .}}{{@key}}{{/each}}' },
      'axy',
    ],
    [
      'with a computed name evaluates the name in the scope of the call',
      '{{#with pair}}{{> (default a "none") ../one}}{{/with}}',
      { A: '{{this}}' },
      'o',
    ],
    [
      'with a computed name may be an inline partial, and may call inline partials',
      '{{#*inline "in"}}in line{{/inline}}{{> (default absent "p")}} {{> (default absent "in")}}',
      { p: '{{> in}}', in: 'file' },
      'in line in line',
    ],
    [
      'with a computed name may have a candidate that needs a block, if it is not called',
      '{{> (default absent "p")}}',
      { p: 'p', q: '{{> @partial-block}}' },
      'p',
    ],
    [
      'defined inline reaches the scope around the block that contains it',
      '{{#with pair}}{{#*inline "in"}}{{this}}{{../title}}{{/inline}}{{> in ../names.[0]}}{{/with}}',
      {},
      'nT',
    ],
  ])('%s', async (_what, source, partials, expected) => {
    expect(await rendered(source, partials)).toBe(expected)
  })

  test('in its own file does not reach the contexts of its caller', async () => {
    await write({ 'a.mjml': text('{{#each names}}{{> p}}{{/each}}'), 'partials/p.mjml': '{{../title}}' })
    expect((await failure(render('a', data))).code).toBe('MISSING_DATA')
  })

  test('keeps its indentation in a text part', async () => {
    await write({
      'a.mjml': text('x'),
      'a.txt': 'To:\n  {{> address}}\nend',
      'partials/address.txt': '{{title}}\n{{pair.a}}\n',
    })
    expect((await render('a', data)).text).toBe('To:\n  T\n  A\nend')
  })

  test('that is only a candidate for a computed name does not affect the head', async () => {
    const included = '<mjml><mj-head><mj-style>.never { color: red }</mj-style></mj-head></mjml>'
    await write({
      'a.mjml': text('{{> (default absent "p")}}'),
      'partials/p.mjml': 'p',
      'partials/q.mjml': '<mj-include path="head.mjml" />',
      'partials/head.mjml': included,
    })
    expect((await render('a', data)).html).not.toContain('never')
  })

  test('may call itself in a text part', async () => {
    await write({
      'a.mjml': text('x'),
      'a.txt': '{{> tree}}',
      'partials/tree.txt': '{{name}}{{#each kids}}({{> tree}}){{/each}}',
    })
    expect((await render('a', { name: 'a', kids: [{ name: 'b', kids: [] }] })).text).toBe('a(b)')
  })
})

test('a list of one string is not a level around that string, as in Handlebars', async () => {
  expect(await rendered('{{#with one}}{{#each this}}{{../title}}{{/each}}{{/with}}')).toBe('T')
})

test('absent data of @root is an error in every block', async () => {
  await write({ 'a.mjml': text('{{#names}}{{@root.absent}}{{/names}}') })
  expect((await failure(render('a', data))).details.missing).toEqual(['absent'])
})
