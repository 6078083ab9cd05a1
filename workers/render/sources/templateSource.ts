import { variantFor } from '../../../src/protocol/locales.js'
import type { TemplateListing } from '../../../src/protocol/templateManifest.js'
import type { Helpers } from '../bind/helperCall.js'
import { createHelpers } from '../helpers/builtInHelpers.js'
import type { RenderableTemplate } from '../languages/language.js'
import { contentHash, LruCache } from '../lruCache.js'
import { compileWithoutMjml, compileTemplate } from '../precompiled/compileTemplate.js'
import type { CriticalSection } from '../renderer.js'
import { Template } from '../template.js'
import type { VariantSource } from '../template/parseTemplate.js'
import { TemplateFailure } from '../template/sourceFile.js'
import type { SharedParts } from '../template/tree.js'

/** A load module by its name, as shown in messages, and its absolute path. */
export interface LoadFile {
  name: string
  path: string
}

/** A source of templates: a folder of MJML files, or a folder written by `threadpost build`. */
export interface TemplateSource {
  catalogue(): Promise<TemplateListing>
  /**
   * Returns a template by name. Synchronous if it is already compiled, as for most messages.
   * @throws TemplateFailure `UNKNOWN_TEMPLATE`, or `TEMPLATE_ERROR` if it doesn't compile
   */
  byName(
    name: string,
    locale: string | undefined,
    critical: CriticalSection,
  ): RenderableTemplate | Promise<RenderableTemplate>
  /** Looks for changed files soon, although it has looked recently. */
  recheck?(): void
  /** Returns the load module of a template, if it has one. Synchronous if the folder is already read. */
  loadFile(name: string): LoadFile | undefined | Promise<LoadFile | undefined>
  /** Returns the template for the MJML source of a message. @throws TemplateFailure */
  adHoc(source: string, critical: CriticalSection): Promise<RenderableTemplate>
}

/** Returns the first variant of the locale's chain (`fr-CA`, then `fr`), or the default variant. */
export function selectVariant<T>(
  variants: ReadonlyMap<string, T>,
  locale: string | undefined,
): T | undefined {
  return variants.get(variantFor(locale, (name) => variants.has(name)))
}

/** @param reason why the file of that name is no template */
export function unknownTemplateError(
  name: string,
  known: Iterable<string>,
  reason?: string,
): TemplateFailure {
  const names = [...known].slice(0, 20).join(', ')
  return new TemplateFailure(
    'UNKNOWN_TEMPLATE',
    `Unknown template ${JSON.stringify(name.slice(0, 100))}${reason === undefined ? '' : `: ${reason}`}. Known templates: ${names === '' ? 'none' : names}`,
  )
}

/** The sentence about a template that has variants for some locales and no default. */
export function missingDefault(name: string, variants: ReadonlyMap<string, unknown>): string {
  const locales = [...variants.keys()].slice(0, 20)
  return `The template '${name}' has no default variant, only ${locales.join(', ')}. Add one, for example by renaming ${name}.${locales[0] ?? 'en'}.mjml to ${name}.mjml`
}

export function missingVariantError(name: string, variants: ReadonlyMap<string, unknown>): TemplateFailure {
  return new TemplateFailure('UNKNOWN_TEMPLATE', missingDefault(name, variants))
}

const MAX_SOURCES = 200

export const BUILT_IN_HELPERS = createHelpers(new Map(), new Map())

/** Returns the shared parts of a source without a template folder. */
export function partsWithoutFolder(helpers: Helpers): SharedParts {
  return {
    partials: new Map(),
    layouts: new Map(),
    include: () => ({ refused: 'needs a template folder' }),
    helpers: new Set(helpers.byName.keys()),
    customHelpers: new Set([...helpers.byName.keys()].filter((name) => !BUILT_IN_HELPERS.byName.has(name))),
  }
}

/**
 * Templates from the MJML source of a message. The first message with a source runs MJML itself, because verifying a
 * precompiled form costs as much as ten messages. A source that is seen again is precompiled.
 */
export class AdHocTemplates {
  readonly #seen = new LruCache<true>(MAX_SOURCES)
  readonly #compiled = new LruCache<Promise<Template>>(MAX_SOURCES)

  /** @param compileLimit milliseconds that compiling a source may take */
  constructor(private readonly compileLimit: number) {}

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
    const source: VariantSource = { main: { name: 'mjml', text }, parts, textParts: parts }
    if (this.#seen.get(key) === undefined) {
      this.#seen.set(key, true)
      return Template.of(compileWithoutMjml(source, critical), helpers)
    }
    const { customHelpers } = parts
    const { compileLimit } = this
    const template = compileTemplate(source, { critical, customHelpers, compileLimit }).then((compiled) =>
      Template.of(compiled, helpers),
    )
    this.#compiled.set(key, template)
    return template
  }
}
