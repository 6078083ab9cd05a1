import type { Catalogue } from '../../../src/protocol/templateManifest.js'
import type { Helpers } from '../bind/helperCall.js'
import { createHelpers } from '../helpers/builtInHelpers.js'
import { localeFallbacks } from '../helpers/localization.js'
import { contentHash, LruCache } from '../lruCache.js'
import { compileWithoutMjml, compileTemplate } from '../precompiled/compileTemplate.js'
import type { CriticalSection } from '../renderer.js'
import { Template } from '../template.js'
import type { VariantSource } from '../template/parseTemplate.js'
import { TemplateFailure } from '../template/sourceFile.js'
import type { SharedParts } from '../template/tree.js'

/** Where templates come from: a folder of sources, or what `threadpost build` made of one. */
export interface TemplateSource {
  catalogue(): Promise<Catalogue>
  /**
   * At once where it was asked for before, since most messages ask for what is known.
   * @throws TemplateFailure `UNKNOWN_TEMPLATE`, or with what is wrong in the source.
   */
  byName(name: string, locale: string | undefined, critical: CriticalSection): Template | Promise<Template>
  /** A source that came with a message. @throws TemplateFailure */
  adHoc(source: string, critical: CriticalSection): Promise<Template>
}

/** The variant for a locale: `fr-CA`, then `fr`, then the default. */
export function selectVariant<T>(
  variants: ReadonlyMap<string, T>,
  locale: string | undefined,
): T | undefined {
  for (const name of localeFallbacks(locale?.toLowerCase())) {
    const variant = variants.get(name)
    if (variant !== undefined) return variant
  }
  return variants.get('')
}

export function unknownTemplateError(name: string, known: Iterable<string>): TemplateFailure {
  const names = [...known].slice(0, 20).join(', ')
  return new TemplateFailure(
    'UNKNOWN_TEMPLATE',
    `There is no template ${JSON.stringify(name.slice(0, 100))}. Known: ${names === '' ? 'none' : names}`,
  )
}

const MAX_SOURCES = 200

export const BUILT_IN_HELPERS = createHelpers(new Map(), new Map())

/** What a source may draw on where there is no folder. */
export function partsWithoutFolder(helpers: Helpers): SharedParts {
  return {
    partials: new Map(),
    layouts: new Map(),
    include: () => ({ refused: 'has no template folder to look in' }),
    helpers: new Set(helpers.byName.keys()),
    customHelpers: new Set([...helpers.byName.keys()].filter((name) => !BUILT_IN_HELPERS.byName.has(name))),
  }
}

/**
 * Sources that come with messages. One that is met for the first time binds first, because trying out a late form
 * costs as much as ten messages; it is compiled when it is met again.
 */
export class AdHocTemplates {
  readonly #met = new LruCache<true>(MAX_SOURCES)
  readonly #compiled = new LruCache<Promise<Template>>(MAX_SOURCES)

  get(
    text: string,
    version: number,
    parts: SharedParts,
    helpers: Helpers,
    critical: CriticalSection,
  ): Promise<Template> {
    const key = contentHash(`${version}`, text)
    const known = this.#compiled.get(key)
    if (known !== undefined) return known
    const source: VariantSource = { mjml: { name: 'mjml', text }, parts, textParts: parts }
    if (this.#met.get(key) === undefined) {
      this.#met.set(key, true)
      return Template.of(compileWithoutMjml(source, critical), helpers)
    }
    const { customHelpers } = parts
    const template = compileTemplate(source, { critical, customHelpers }).then((compiled) =>
      Template.of(compiled, helpers),
    )
    this.#compiled.set(key, template)
    return template
  }
}
