import Handlebars from 'handlebars'
import mjml2html from 'mjml'
import { expect, test } from 'vitest'
import type { JsonObject } from '../../../src/protocol/tasks.js'
import { diff } from '../../../workers/render/precompiled/verifyPrecompiled.js'
import { failure, useTemplates } from './support/templates.js'

/*
 * MJML moves the head of an included document to the end of the document's own head. Its expressions belong to the
 * block or partial around the mj-include.
 */

const templates = useTemplates()
const HEAD =
  '<mj-attributes><mj-class name="c-{{id}}" color="{{color}}" /></mj-attributes><mj-style>.s-{{id}} { color: {{color}} }</mj-style>'
const BODY = '<mj-text mj-class="c-{{id}}" css-class="s-{{id}}">{{id}} {{@root.id}}</mj-text>'
const CARD = `<mjml><mj-head>${HEAD}</mj-head><mj-body>${BODY}</mj-body></mjml>`

const document = (head: string, column: string): string =>
  `<mjml><mj-head>${head}</mj-head><mj-body><mj-section><mj-column>${column}</mj-column></mj-section></mj-body></mjml>`

const data: JsonObject = {
  id: 'root',
  color: '#000001',
  yes: true,
  no: false,
  items: [
    { id: 'one', color: '#000002' },
    { id: 'two', color: '#000003' },
  ],
  none: [],
}

const blocks: [open: string, otherwise: string, close: string][] = [
  ['{{#each items}}', '', '{{/each}}'],
  ['{{#each none}}', '', '{{/each}}'],
  ['{{#each none}}x{{else}}', '', '{{/each}}'],
  ['{{#with items.[1]}}', '', '{{/with}}'],
  ['{{#if yes}}', '', '{{/if}}'],
  ['{{#if no}}', '{{else}}<mj-text>other</mj-text>', '{{/if}}'],
  ['{{#items}}', '', '{{/items}}'],
  ['{{#each items}}{{#if @last}}', '', '{{/if}}{{/each}}'],
]

test.each(blocks)(
  'the head of a document included in %s%s%s is bound in that block',
  async (open, otherwise, close) => {
    const block = (inside: string): string =>
      `${open.replace('x', '')}${inside}${otherwise.replace(/<.*/, '')}${close}`
    const source = document(
      '',
      `${open.replace('x', '<mj-text>x</mj-text>')}<mj-include path="./partials/card.mjml" />${otherwise}${close}`,
    )
    await templates.write({ 'mail.mjml': source, 'partials/card.mjml': CARD })
    const put = document(
      block(HEAD),
      source.match(/<mj-column>(.*)<\/mj-column>/)?.[1]?.replace(/<mj-include[^>]*>/, BODY) ?? '',
    )
    const { html } = await mjml2html(Handlebars.compile(put)(data), {})
    expect(diff(html, (await templates.render('mail', data)).html)).toBeUndefined()
  },
)

test('the head of a document included in a partial can use the parameters of the partial', async () => {
  await templates.write({
    'mail.mjml': document('', '{{> card id="given" color="#000009"}}'),
    'partials/card.mjml': '<mj-include path="./whole.mjml" />',
    'partials/whole.mjml': CARD,
  })
  const { html } = await templates.render('mail', data)
  expect(html).toContain('.s-given { color: #000009 }')
  expect(html).toMatch(/color:#000009;[^>]*>given root/)
})

test('data that only an included head needs is missing in the scope of the include', async () => {
  await templates.write({
    'mail.mjml': document('', '{{#each items}}<mj-include path="./partials/card.mjml" />{{/each}}'),
    'partials/card.mjml': CARD,
  })
  const error = await failure(templates.render('mail', { id: 'root', color: 'red', items: [{ id: 'a' }] }))
  expect(error.details.missing).toEqual(['items[0].color'])
  await expect(templates.render('mail', { id: 'root', items: [] })).resolves.toBeDefined()
})
