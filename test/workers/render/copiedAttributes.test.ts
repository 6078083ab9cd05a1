import { expect, test } from 'vitest'
import type { JsonObject } from '../../../src/protocol/tasks.js'
import { PerMessageTemplate } from '../../../workers/render/perMessageTemplate.js'
import type { CompiledTemplate } from '../../../workers/render/precompiled/compiledTemplate.js'
import { Template } from '../../../workers/render/template.js'
import type { TemplateFailure } from '../../../workers/render/template/sourceFile.js'
import { compareBoth, compile, critical, helpers } from './support/both.js'
import { type Component, bodyComponents, valueOf, wayTo } from './support/registry.js'

/*
 * MJML copies attributes: from mj-attributes to every component, and from a component to those inside it. An expression
 * in one belongs to the scope it was written in. The oracle runs Handlebars first, then MJML.
 */

const components = bodyComponents()
const CONTENT: Record<string, string> = { 'mj-table': '<tr><td>cell</td></tr>' }

/** A component with one child of each kind that it needs. */
function element(tag: string, attributes = '', inside?: string): string {
  const { children = [] } = components.get(tag) ?? {}
  const [child] = children.filter((name) => name !== 'mj-raw')
  const content = inside ?? (child === undefined ? (CONTENT[tag] ?? 'words') : element(child))
  return `<${tag}${attributes}>${content}</${tag}>`
}

/** The body with this in the innermost of these components. */
function within(way: readonly string[], inside: string): string {
  return way.reduceRight((inner, tag) => `<${tag}>${inner}</${tag}>`, inside)
}

const mjml = (head: string, body: string): string =>
  `<mjml><mj-head><mj-attributes>${head}</mj-attributes></mj-head>${body}</mjml>`

interface Case {
  where: string
  source: string
}

/** Every place that MJML copies this attribute of this component from, with the component inside a block. */
function casesOf({ tag }: Component, attribute: string): Case[] {
  const bound = ` ${attribute}="{{v}}"`
  const around = wayTo(tag, components).slice(0, -1)
  const parent = around.at(-1)
  const each = (use: string): string =>
    parent === undefined ? use : within(around, `{{#each items}}${use}{{/each}}`)
  const cases = [
    { where: 'mj-all', source: mjml(`<mj-all${bound} />`, each(element(tag))) },
    { where: 'its default', source: mjml(`<${tag}${bound} />`, each(element(tag))) },
    { where: 'mj-class', source: mjml(`<mj-class name="k"${bound} />`, each(element(tag, ' mj-class="k"'))) },
    { where: 'itself', source: mjml('', each(element(tag, bound))) },
  ]
  if (parent !== undefined) {
    const ofParent = `<mj-class name="k"><${tag}${bound} /></mj-class>`
    const use = `<${parent} mj-class="k">{{#each items}}${element(tag)}{{/each}}</${parent}>`
    cases.push({
      where: `mj-class of ${parent}`,
      source: mjml(ofParent, parent === 'mj-body' ? use : within(around.slice(0, -1), use)),
    })
  }
  return cases
}

/** An attribute of a component with its children in a block: at the root, and inside a block itself. */
function parentCases(parent: Component, attribute: string): Case[] {
  const bound = ` ${attribute}="{{v}}"`
  const around = wayTo(parent.tag, components).slice(0, -1)
  return parent.children.flatMap((child) => {
    const use = element(parent.tag, bound, `{{#each items}}${element(child)}{{/each}}`)
    if (around.length === 0) return [{ where: `around ${child}`, source: mjml('', use) }]
    return [
      { where: `around ${child}`, source: mjml('', within(around, use)) },
      {
        where: `around ${child}, in a block`,
        source: mjml('', within(around, `{{#each groups}}${use}{{/each}}`)),
      },
    ]
  })
}

/** Each scope has a value of its own, so that a value from the wrong one shows. */
function dataFor(attribute: string, type: string): unknown[] {
  const v = (number: number): string => valueOf(attribute, type, number)
  const items = [{ v: v(1) }, { v: v(2) }]
  const groups = [
    { v: v(3), items: [{ v: v(4) }] },
    { v: v(5), items: [] },
  ]
  return [
    { v: v(0), items, groups },
    { v: v(6), items: [], groups: [] },
  ]
}

/** Data that lacks the value in one scope or the other. */
const INCOMPLETE = [
  { items: [], groups: [] },
  { v: 'x', items: [{}], groups: [{ v: 'x', items: [{}] }] },
  { v: 'x', items: [{ v: 'x' }], groups: [{ items: [] }] },
]

async function missingIn(render: () => unknown): Promise<readonly string[] | undefined> {
  try {
    await render()
    return undefined
  } catch (error) {
    return (error as TemplateFailure).details.missing
  }
}

/** Whether both ways to render report the same missing data. */
async function reportsSameMissing(compiled: CompiledTemplate, data: JsonObject): Promise<boolean> {
  const input = { data, variables: { locale: 'en' } }
  const template = await Template.of(compiled, helpers)
  const found = await missingIn(() => template.render(input, critical))
  const expected = await missingIn(() => new PerMessageTemplate(compiled.trees, helpers).bind(input))
  return JSON.stringify(found) === JSON.stringify(expected)
}

let precompiledCases = 0

for (const component of components.values())
  test(`binds values that MJML copies to or from ${component.tag} in the scope they were written in`, async () => {
    const wrong: string[] = []
    for (const [attribute, type] of Object.entries(component.attributes)) {
      let perMessageCases = 0
      for (const { where, source } of [
        ...casesOf(component, attribute),
        ...parentCases(component, attribute),
      ]) {
        const generated = { source, partials: {} }
        const compiled = await compile(generated)
        // Rendering per message is the same whatever MJML copies, so a few cases of it are enough.
        if (compiled.late === undefined && perMessageCases++ > 1) continue
        if (compiled.late !== undefined) precompiledCases++
        for (const data of dataFor(attribute, type)) {
          const verdict = await compareBoth(generated, compiled, data)
          if (verdict.verdict === 'differs')
            wrong.push(`${attribute}, ${where}: ${verdict.why}\n${source}\n${JSON.stringify(data)}`)
        }
        for (const data of INCOMPLETE)
          if (!(await reportsSameMissing(compiled, data)))
            wrong.push(
              `${attribute}, ${where}: reports other missing data\n${source}\n${JSON.stringify(data)}`,
            )
      }
    }
    expect(wrong).toEqual([])
  })

test('the cases of copied attributes include hundreds of precompiled templates', () => {
  expect(precompiledCases).toBeGreaterThan(300)
})
