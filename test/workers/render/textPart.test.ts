import { describe, expect, test } from 'vitest'
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

test('a rendered template keeps inline styles and dark mode', async () => {
  const head =
    '<mj-style inline="inline">.hot div { font-weight: bold }</mj-style><mj-style>@media (prefers-color-scheme: dark) { .hot { color: {{dark}} } }</mj-style>'
  await write({ 'a.mjml': mail('<mj-text css-class="hot">{{x}}</mj-text>', head) })
  const { html } = await render('a', { x: 'y', dark: '#eee' })
  expect(html).toContain('font-weight: bold')
  expect(html).toContain('@media (prefers-color-scheme: dark) { .hot { color: #eee } }')
})
