import { expect, test } from 'vitest'
import { compareBoth, compile } from './support/both.js'

const section = (columns: string): string =>
  `<mjml><mj-body><mj-section>${columns}</mj-section></mj-body></mjml>`
const column = (width = ''): string => `<mj-column${width}><mj-text>x</mj-text></mj-column>`
const wide = column(' width="50%"')

test.each([
  ['one optional column', section(`{{#if a}}${column()}{{/if}}`), true],
  ['one repeated column', section(`{{#each list}}${column()}{{/each}}`), false],
  ['a column beside others', section(`{{#if a}}${column()}{{/if}}${column()}`), false],
  ['columns with widths', section(`{{#if a}}${wide}{{/if}}${wide}{{#each list}}${wide}{{/each}}`), true],
  [
    'a column without width that only some branches show',
    section(`{{#unless a}}{{else}}${column()}${wide}{{/unless}}{{#each list}}${wide}{{/each}}`),
    false,
  ],
  ['raw HTML beside columns', section(`{{#if a}}<mj-raw>r</mj-raw>{{/if}}${column()}${column()}`), true],
])('compiles a template once only if no column width depends on data: %s', async (_what, source, once) => {
  const compiled = await compile({ source, partials: {} })
  expect(compiled.late !== undefined).toBe(once)
  if (!once) expect(compiled.findings[0]?.reason).toBe('MJML computes widths from the number of columns')
  for (const data of [
    { a: true, list: [1, 2, 3, 4] },
    { a: false, list: [] },
  ])
    expect((await compareBoth({ source, partials: {} }, compiled, data)).verdict).toBe('equal')
})
