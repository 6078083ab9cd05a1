import { expect, test } from 'vitest'
import type { CriticalSection } from '../../../workers/render/renderer.js'
import { Template } from '../../../workers/render/template.js'
import { compile, helpers } from './support/both.js'
import { corpusIsThere, receipt } from './support/corpus.js'

const HELLO = `<mjml><mj-head><mj-title>Hello {{name}}</mj-title></mj-head><mj-body><mj-section><mj-column>
  <mj-text>Dear {{name}}{{#each items}}, {{this}}{{/each}}</mj-text></mj-column></mj-section></mj-body></mjml>`

const templates: [string, string, Record<string, unknown>][] = [
  ['a small template', HELLO, { name: 'Ada', items: ['a', 'b'] }],
]
if (corpusIsThere) templates.push(['the receipt', receipt().source, receipt().data])

// test/measure/measureBinding.mjs measures how much time this saves.
test.each(templates)('runs MJML when %s is compiled, and not for its messages', async (_, source, data) => {
  const steps: string[] = []
  const counting: CriticalSection = (step, work) => {
    steps.push(step)
    return work()
  }
  const template = await Template.of(await compile({ source, partials: {} }), helpers)
  for (let message = 0; message < 100; message++) {
    const parts = await template.render({ data: data as never, variables: { locale: 'en' } }, counting)
    // The compiled pieces, with the values of this message between them.
    expect(parts.htmlRow).toBeDefined()
  }
  expect(steps).toEqual(Array(100).fill('render'))
})
