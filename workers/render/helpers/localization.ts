import { localeChain } from '../../../src/protocol/locales.js'
import type { Helper, HelperOptions } from '../bind/helperCall.js'
import { ownField, stringifyValue } from '../bind/values.js'

const MAX_FORMATS = 200
/** Creating a format costs far more than using it. The cache is bounded, because options may come from data. */
const formats = new Map<string, Intl.NumberFormat | Intl.DateTimeFormat | Intl.PluralRules>()

function cached<T extends Intl.NumberFormat | Intl.DateTimeFormat | Intl.PluralRules>(
  kind: string,
  locale: string,
  options: object,
  make: () => T,
): T {
  const key = `${kind} ${locale} ${JSON.stringify(options)}`
  const known = formats.get(key)
  if (known !== undefined) return known as T
  if (formats.size >= MAX_FORMATS) formats.clear()
  const made = make()
  formats.set(key, made)
  return made
}

/** Returns the locale of a helper call: its `locale=` argument, else the locale of the mail, else English. */
function localeOf(options: HelperOptions): string {
  const own = options.hash['locale'] ?? options.data['locale']
  return typeof own === 'string' && own !== '' ? own.replaceAll('_', '-') : 'en'
}

function intlOptions(options: HelperOptions): Record<string, unknown> {
  const { locale: _locale, ...rest } = options.hash
  return rest
}

function numberFormat(locale: string, options: Intl.NumberFormatOptions): Intl.NumberFormat {
  return cached('number', locale, options, () => new Intl.NumberFormat(locale, options))
}

function pluralRules(locale: string, options: Intl.PluralRulesOptions): Intl.PluralRules {
  return cached('plural', locale, options, () => new Intl.PluralRules(locale, options))
}

function numberOf(value: unknown): number {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (typeof number !== 'number' || !Number.isFinite(number))
    throw new Error(`it needs a number, got ${kindOf(value)}`)
  return number
}

function kindOf(value: unknown): string {
  return value === null
    ? 'null'
    : Array.isArray(value)
      ? 'a list'
      : value === ''
        ? 'empty text'
        : `a ${typeof value}`
}

const formatNumber: Helper = (value, ...rest) => {
  const options = rest.at(-1) as HelperOptions
  return numberFormat(localeOf(options), intlOptions(options)).format(numberOf(value))
}

/** `{{formatCurrency total "EUR"}}` or `currency="EUR"`. */
const formatCurrency: Helper = (value, ...rest) => {
  const options = rest.at(-1) as HelperOptions
  const currency = rest.length > 1 ? rest[0] : options.hash['currency']
  if (typeof currency !== 'string') throw new Error('it needs a currency, such as "EUR"')
  const format = { ...intlOptions(options), style: 'currency', currency } as Intl.NumberFormatOptions
  return numberFormat(localeOf(options), format).format(numberOf(value))
}

/** Formats an ISO 8601 text or milliseconds. In UTC unless `timeZone` is set, so that every server writes the same text. */
const formatDate: Helper = (value, ...rest) => {
  const options = rest.at(-1) as HelperOptions
  const time = typeof value === 'string' ? Date.parse(value) : typeof value === 'number' ? value : Number.NaN
  if (Number.isNaN(time)) throw new Error('it needs a date: ISO 8601 text or milliseconds')
  const own = intlOptions(options)
  const format = {
    timeZone: 'UTC',
    ...(Object.keys(own).some((name) => name !== 'timeZone') ? {} : { dateStyle: 'long' }),
    ...own,
  }
  const locale = localeOf(options)
  return cached(
    'date',
    locale,
    format,
    () => new Intl.DateTimeFormat(locale, format as Intl.DateTimeFormatOptions),
  ).format(time)
}

/** `{{plural count one="# item" other="# items"}}`; `#` becomes the number. */
const plural: Helper = (value, ...rest) => {
  const options = rest.at(-1) as HelperOptions
  const number = numberOf(value)
  const locale = localeOf(options)
  const type = options.hash['type'] === 'ordinal' ? 'ordinal' : 'cardinal'
  const exact = options.hash[`=${number}`] ?? (number === 0 ? options.hash['zero'] : undefined)
  const form = exact ?? options.hash[pluralRules(locale, { type }).select(number)] ?? options.hash['other']
  if (typeof form !== 'string') throw new Error('it needs at least other="…"')
  return form.replaceAll('#', numberFormat(locale, {}).format(number))
}

/** Helpers that format numbers, currencies, dates and plurals with `Intl`. */
export const formatHelpers: Record<string, Helper> = { formatNumber, formatCurrency, formatDate, plural }

/** The strings of `locales/LOCALE.json` by locale. `default` and `en` are the last fallbacks. */
export type Strings = ReadonlyMap<string, Record<string, unknown>>

/** `{{t "order.thanks" name=name}}` returns the string of that key in the mail's language, with `{name}` replaced. */
export function translateHelper(strings: Strings): Helper {
  return (key, ...rest) => {
    const options = rest.at(-1) as HelperOptions
    const locale = localeOf(options)
    const text = find(strings, locale, String(key))
    if (text === undefined) throw new Error(`no string ${JSON.stringify(key)} for the locale '${locale}'`)
    return text.replace(/\{(\w+)\}/g, (placeholder, name: string) =>
      Object.hasOwn(options.hash, name) ? stringifyValue(options.hash[name]) : placeholder,
    )
  }
}

function find(strings: Strings, locale: string, key: string): string | undefined {
  for (const name of [...localeChain(locale), 'default', 'en']) {
    const table = strings.get(name)
    const flat = ownField(table, key)
    const nested = flat ?? key.split('.').reduce<unknown>((at, part) => ownField(at, part), table)
    if (typeof nested === 'string') return nested
  }
  return undefined
}
