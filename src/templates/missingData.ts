import { ThreadpostError } from '../errors.js'
import { localeChain, variantFor } from '../protocol/locales.js'
import type { Json, JsonObject } from '../protocol/tasks.js'
import type { DataPath, Need, TemplateManifest, TemplateVariant } from '../protocol/templateManifest.js'
import { DEFAULT_URL_SCHEMES, isAllowedScheme, refusedScheme, schemeOf } from '../protocol/urlSchemes.js'
import { Validator } from '../validation.js'

/** A context on the path from the root: its value, and its path in the context around it. */
interface Frame {
  value: Json | undefined
  readonly at: DataPath
  /** Index or key, if the context is an item of the list or object at that path. */
  key?: string | number
}

const MAX_PATHS = 50
/** Handlebars regards this text as equal to the object around it, which changes the meaning of `../`. The thread checks such data. */
const OBJECT_TEXT = '[object Object]'
const ROOT: DataPath = { scope: 0, parts: [] }

const check: Validator = new Validator('INVALID_MESSAGE')

/** The variant with which a mail in this locale is rendered, as far as it is certain. */
export function variantOf(manifest: TemplateManifest, locale: string | undefined): TemplateVariant {
  const { variants } = manifest
  if (variants === undefined) return manifest
  return variants[variantFor(locale, (name) => Object.hasOwn(variants, name))] ?? manifest
}

/**
 * Refuses a mail that its template can't render.
 * @throws ThreadpostError `UNKNOWN_TEMPLATE` if the template has neither a variant for the locale nor a default; `MISSING_DATA` with
 *   every path that the data lacks; `INVALID_MESSAGE` for a URL with a refused scheme
 */
export function refuseUnfit(manifest: TemplateManifest, locale: string | undefined, data: JsonObject): void {
  const { name, locales, defaultMissing, urlSchemes = DEFAULT_URL_SCHEMES } = manifest
  if (defaultMissing === true && !localeChain(locale).some((each) => locales.includes(each))) {
    const path = locale === undefined ? 'template' : 'locale'
    throw new ThreadpostError(
      'UNKNOWN_TEMPLATE',
      `${path}: the template '${name}' has no default variant, only ${locales.join(', ')}. Pass one of these locales, or add ${name}.mjml`,
      { path },
    )
  }
  const { missing: paths, refused } = dataProblems(variantOf(manifest, locale).needs, data, urlSchemes)
  if (paths.length === 0) {
    if (refused !== undefined) check.fail(`data.${refused.path}`, refusedScheme(refused.scheme, urlSchemes))
    return
  }
  throw new ThreadpostError(
    'MISSING_DATA',
    `data: the template '${name}' needs data that is missing: ${paths.join(', ')}`,
    { path: `data.${paths[0] ?? ''}`, paths },
  )
}

/** Problems that the data of a mail has for a template. */
export interface DataProblems {
  /** Paths that the template needs and the data lacks. */
  missing: string[]
  /** The first URL whose scheme is not allowed. */
  refused?: { path: string; scheme: string }
}

/** Checks data against the needs of a template. Only absent values count as missing: `''`, `0`, `false` and `null` are data. */
export function dataProblems(
  needs: readonly Need[],
  data: JsonObject,
  urlSchemes: readonly string[],
): DataProblems {
  const walk = new Walk(data, urlSchemes)
  walk.follow(needs)
  const missing = walk.missing === undefined ? [] : [...walk.missing].slice(0, MAX_PATHS)
  return walk.refused === undefined ? { missing } : { missing, refused: walk.refused }
}

/** Follows the needs through the data. Most messages lack nothing, so paths are built only for missing values. */
class Walk {
  missing: Set<string> | undefined
  refused: DataProblems['refused']
  /** The contexts from the root to the current one. */
  readonly #frames: Frame[]

  constructor(
    data: JsonObject,
    private readonly urlSchemes: readonly string[],
  ) {
    this.#frames = [{ value: data, at: ROOT }]
  }

  follow(needs: readonly Need[]): void {
    for (const need of needs) {
      if (this.missing !== undefined && this.missing.size >= MAX_PATHS) return
      const value = this.#reach(need.path)
      switch (need.need) {
        case 'value':
          if (value === undefined) this.#miss(need.path)
          break
        case 'url':
          if (typeof value === 'string') this.#checkScheme(value, need.path)
          break
        case 'if':
          this.follow(isEmptyValue(value) ? need.otherwise : need.then)
          break
        case 'each':
          if (value === undefined && !need.optional) this.#miss(need.path)
          else this.#followItems(need, value)
          break
        case 'with':
          if (value === undefined && !need.optional) this.#miss(need.path)
          else if (value === 0 || !isEmptyValue(value)) this.#within({ value, at: need.path }, need.inner)
          else this.follow(need.otherwise)
          break
      }
    }
  }

  #followItems(need: Extract<Need, { need: 'each' }>, value: Json | undefined): void {
    const keys = Array.isArray(value) ? undefined : keysOf(value)
    const count = Array.isArray(value) ? value.length : (keys?.length ?? 0)
    if (count === 0) return this.follow(need.otherwise)
    if (need.items.length === 0) return
    const frame: Frame = { value: undefined, at: need.path, key: 0 }
    for (let index = 0; index < count; index++) {
      const key = keys?.[index] ?? index
      frame.key = key
      frame.value = (value as Record<string | number, Json>)[key]
      this.#within(frame, need.items)
    }
  }

  #within(frame: Frame, needs: readonly Need[]): void {
    if (frame.value === OBJECT_TEXT) return
    this.#frames.push(frame)
    this.follow(needs)
    this.#frames.pop()
  }

  #reach({ scope, parts }: DataPath): Json | undefined {
    let value = this.#frames[scope]?.value
    for (const part of parts) value = fieldOf(value, part)
    return value
  }

  #checkScheme(url: string, at: DataPath): void {
    const scheme = schemeOf(url)
    if (scheme !== undefined && !isAllowedScheme(scheme, this.urlSchemes))
      this.refused ??= { path: this.#pathOf(at), scheme }
  }

  #miss(at: DataPath): void {
    this.missing ??= new Set()
    this.missing.add(this.#pathOf(at))
  }

  #pathOf({ scope, parts }: DataPath): string {
    const frame = this.#frames[scope]
    const around = frame === undefined || scope === 0 ? '' : this.#pathOf(frame.at)
    const key = frame?.key
    const base =
      key === undefined ? around : typeof key === 'number' ? `${around}[${key}]` : append(around, key)
    return parts.reduce(append, base)
  }
}

function append(path: string, part: string): string {
  return path === '' ? part : `${path}.${part}`
}

function keysOf(value: Json | undefined): string[] {
  return typeof value === 'object' && value !== null ? Object.keys(value) : []
}

function fieldOf(value: Json | undefined, name: string): Json | undefined {
  if (value === null || value === undefined) return undefined
  return Object.hasOwn(value as object, name) ? (value as JsonObject)[name] : undefined
}

/** Whether `{{#if}}` regards a value as empty. */
function isEmptyValue(value: Json | undefined): boolean {
  return !value || (Array.isArray(value) && value.length === 0)
}
