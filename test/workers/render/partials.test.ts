import { describe, expect, test } from 'vitest'
import { failure, text, useTemplates } from './support/templates.js'

const { render, write } = useTemplates()

const BROKEN: [what: string, partial: string][] = [
  ['{{> @partial-block}}', '<b>{{> @partial-block}}</b>'],
  ['{{@partial-block}}', '{{@partial-block}}'],
  ['a test of its block', '{{#if @partial-block}}{{> @partial-block}}{{else}}{{> @partial-block}}{{/if}}'],
  ['a block around its block', '{{#> @partial-block}}x{{/@partial-block}}{{> @partial-block}}'],
  ['an unknown partial', '{{> nowhere}}'],
  ['an unknown helper', '{{nowhere 1}}'],
  ['a syntax error', '{{#if'],
  ['an unknown decorator', '{{#*nowhere}}x{{/nowhere}}'],
  ['a call of itself with a block', '{{#> broken}}x{{/broken}}'],
  ['a block with wrong arguments', '{{#each}}x{{/each}}'],
]

describe('a partial with a computed name', () => {
  test.each(BROKEN)('ignores a partial that is not called, with %s', async (_, broken) => {
    await write({
      'a.mjml': text('{{> (lookup @root "which")}}'),
      'b.mjml': text('{{#each list}}{{> (lookup @root "which")}}{{/each}}{{#> outer}}x{{/outer}}'),
      'partials/good.mjml': 'good',
      'partials/outer.mjml': '<i>{{> @partial-block}}{{> (lookup @root "which")}}</i>',
      'partials/broken.mjml': broken,
    })
    expect((await render('a', { which: 'good' })).text).toBe('good\n')
    expect((await render('b', { which: 'good', list: [1, 2] })).text).toBe('goodgoodxgood\n')
    const { code, message } = await failure(render('a', { which: 'broken' }))
    expect(code).toBe('TEMPLATE_ERROR')
    expect(message).toMatch(/^partials\/broken\.mjml:\d+:\d+: (?!.*partials\/broken)/)
  })
})
