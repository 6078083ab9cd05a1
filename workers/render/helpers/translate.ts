import type { Helper, HelperOptions } from '../bind/helperCall.js'
import { field, textOf } from '../bind/values.js'
import { localeOf } from './formats.js'

/** Strings by locale, as `locales/LOCALE.json` has them; `default` is the last resort. */
export type Strings = ReadonlyMap<string, Record<string, unknown>>

/** `fr-CA`, `fr`, `default`. */
export function fallbacks(locale: string | undefined): string[] {
  const chain: string[] = []
  const parts = (locale ?? '').replaceAll('_', '-').split('-').filter(Boolean)
  for (let length = parts.length; length > 0; length--) chain.push(parts.slice(0, length).join('-'))
  return chain
}

/** `{{t "order.thanks" name=name}}`: the string of that key in the mail's language, its `{name}` filled in. */
export function translateHelper(strings: Strings): Helper {
  return (key, ...rest) => {
    const options = rest.at(-1) as HelperOptions
    const locale = localeOf(options)
    const text = find(strings, locale, String(key))
    if (text === undefined) throw new Error(`no string ${JSON.stringify(key)} for the language '${locale}'`)
    return text.replace(/\{(\w+)\}/g, (hole, name: string) =>
      Object.hasOwn(options.hash, name) ? textOf(options.hash[name]) : hole,
    )
  }
}

function find(strings: Strings, locale: string, key: string): string | undefined {
  for (const name of [...fallbacks(locale), 'default', 'en']) {
    const table = strings.get(name.toLowerCase())
    const flat = field(table, key)
    const nested = flat ?? key.split('.').reduce<unknown>((at, part) => field(at, part), table)
    if (typeof nested === 'string') return nested
  }
  return undefined
}
