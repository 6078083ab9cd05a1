import type { Helpers } from '../bind/helperCall.js'
import { RecentlyUsed, contentHash } from '../cache.js'
import { helpersOf } from '../helpers/helperRegistry.js'
import { compileFirst, compileTemplate } from '../precompiled/compileTemplate.js'
import type { Critical } from '../renderer.js'
import { Template } from '../template.js'
import type { TemplateSource } from '../template/parseTemplate.js'
import type { SharedParts } from '../template/tree.js'

const MAX_SOURCES = 200

export const BUILT_IN = helpersOf(new Map(), new Map())

/** What a source may draw on where there is no folder. */
export function partsWithout(helpers: Helpers): SharedParts {
  return {
    partials: new Map(),
    layouts: new Map(),
    include: () => ({ refused: 'has no template folder to look in' }),
    helpers: new Set(helpers.byName.keys()),
    customHelpers: new Set([...helpers.byName.keys()].filter((name) => !BUILT_IN.byName.has(name))),
  }
}

/**
 * Sources that come with messages. One that is met for the first time binds first, because trying out a late form
 * costs as much as ten messages; it is compiled when it is met again.
 */
export class AdHocTemplates {
  readonly #met = new RecentlyUsed<true>(MAX_SOURCES)
  readonly #compiled = new RecentlyUsed<Promise<Template>>(MAX_SOURCES)

  get(
    text: string,
    version: number,
    parts: SharedParts,
    helpers: Helpers,
    critical: Critical,
  ): Promise<Template> {
    const key = contentHash(`${version}`, text)
    const known = this.#compiled.get(key)
    if (known !== undefined) return known
    const source: TemplateSource = { mjml: { name: 'mjml', text }, parts, textParts: parts }
    if (this.#met.get(key) === undefined) {
      this.#met.set(key, true)
      return Template.of(compileFirst(source, critical), helpers)
    }
    const { customHelpers } = parts
    const template = compileTemplate(source, { critical, customHelpers }).then((compiled) =>
      Template.of(compiled, helpers),
    )
    this.#compiled.set(key, template)
    return template
  }
}
