import type { Templates } from '../index.js'

/** Any string, until `threadpost types` has declared the names of the templates. */
export type TemplateName = [keyof Templates] extends [never] ? string : keyof Templates

/** The data of a template; any object, until `threadpost types` has declared its type. */
export type TemplateData<Name extends TemplateName = TemplateName> = Name extends keyof Templates
  ? Templates[Name] extends { data: infer Data }
    ? Data
    : object
  : object

/** Every locale for which a template has a variant or strings; `never` if none has. */
type KnownLocale = Templates[keyof Templates] extends { locales: infer Locale extends string }
  ? Locale
  : string

/**
 * A locale that a template has, with or without a region: where a template has `fr`, `fr-CA` selects it. Any string, until
 * `threadpost types` has declared the locales. A locale from outside, such as a user's setting, can be cast to this type, because a
 * template without a variant for it uses its default one.
 */
export type TemplateLocale = [keyof Templates] extends [never] ? string : WithRegion<KnownLocale>

type WithRegion<Locale extends string> = Locale | `${Locale}-${string}`
