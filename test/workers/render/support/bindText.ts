import type { JsonObject } from '../../../../src/protocol/tasks.js'
import { dataProblems } from '../../../../src/templates/missingData.js'
import { Binder, type OutputEncoder } from '../../../../workers/render/bind/binder.js'
import { BindingRun } from '../../../../workers/render/bind/bindingRun.js'
import { escapeHtml } from '../../../../workers/render/bind/values.js'
import { collectNeeds } from '../../../../workers/render/manifest/needs.js'
import { parseTemplate } from '../../../../workers/render/template/parseTemplate.js'
import { TemplateFailure } from '../../../../workers/render/template/sourceFile.js'
import { helpers, sourceOf } from './both.js'
import { type Oracle, compileHandlebars } from './oracle.js'

const AS_HANDLEBARS: OutputEncoder = {
  escape: escapeHtml,
  raw: (html) => html,
  block: (html) => html,
  attribute: (value) => value,
}

type Generated = Parameters<typeof sourceOf>[0]
const variables = { locale: 'en', app: { name: 'Northwind' } }

type Bound = Oracle & { paths?: string[]; foretold?: string[] }

/** A template that holds no MJML, bound as a text part is, but escaped. */
function compileText(generated: Generated): (data: JsonObject) => Bound {
  try {
    const source = sourceOf(generated)
    const main = { name: 'empty.mjml', text: '' }
    const { trees } = parseTemplate({ ...source, main, text: source.main ?? main })
    const nodes = trees.text ?? []
    const needs = collectNeeds(nodes)
    // A template that is built ahead goes through JSON.
    const partials = JSON.parse(JSON.stringify(trees.partials)) as typeof trees.partials
    const binder = new Binder(nodes, helpers, AS_HANDLEBARS, new Map(Object.entries(partials)))
    return (data) => ({
      foretold: dataProblems(needs, data, []).missing,
      ...orFailure(() => bindText(binder, data)),
    })
  } catch (error) {
    return () =>
      orFailure(() => {
        throw error
      })
  }
}

function bindText(binder: Binder, data: JsonObject): Bound {
  const run = new BindingRun()
  const text = binder.text(binder.bind(data, variables, run))
  return run.missing.size > 0 ? { missing: true, paths: [...run.missing] } : { text }
}

function orFailure(work: () => Bound): Bound {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof TemplateFailure)) throw error
    return { error: error.message }
  }
}

/** Compares threadpost with Handlebars over a template. @returns how they differ over data, if they do */
export function againstHandlebars(
  generated: Generated,
): (data: JsonObject) => { differs: string } | { same: 'text' | 'missing' | 'error' } {
  const handlebars = compileHandlebars(generated)
  const threadpost = compileText(generated)
  return (data) => {
    const expected = handlebars(data, variables)
    const { foretold = [], paths = [], ...actual } = threadpost(data)
    const unfounded = foretold.filter((path) => !paths.includes(path))
    if (unfounded.length > 0 && !('error' in actual))
      return { differs: `foretold as missing, but not missing: ${unfounded.join(', ')}` }
    const same = 'text' in expected ? 'text' in actual && actual.text === expected.text : !('text' in actual)
    if (same) return { same: 'text' in expected ? 'text' : 'missing' in expected ? 'missing' : 'error' }
    return {
      differs: `Handlebars ${JSON.stringify(expected)}\nthreadpost ${JSON.stringify({ ...actual, paths })}`,
    }
  }
}
