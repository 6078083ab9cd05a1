/** Lookup of locales (RFC 4647 section 3.4), with the parents and the likely scripts of Unicode's CLDR. */

/** Parents that are not a prefix: `es-MX` falls back to the Spanish of Latin America (CLDR's `parentLocales`). */
const PARENTS: ReadonlyMap<string, string> = new Map(
  [
    [
      'en-001',
      'en-150 en-ag en-ai en-au en-bb en-bm en-bs en-bw en-bz en-cc en-ck en-cm en-cx en-cy en-dg en-dm en-er en-fj en-fk ' +
        'en-fm en-gb en-gd en-gg en-gh en-gi en-gm en-gy en-hk en-ie en-il en-im en-in en-io en-je en-jm en-ke en-ki en-kn ' +
        'en-ky en-lc en-lr en-ls en-mg en-mo en-ms en-mt en-mu en-mv en-mw en-my en-na en-nf en-ng en-nr en-nu en-nz en-pg ' +
        'en-pk en-pn en-pw en-rw en-sb en-sc en-sd en-sg en-sh en-sl en-ss en-sx en-sz en-tc en-tk en-to en-tt en-tv en-tz ' +
        'en-ug en-vc en-vg en-vu en-ws en-za en-zm en-zw',
    ],
    ['en-150', 'en-at en-be en-ch en-de en-dk en-fi en-nl en-se en-si'],
    [
      'es-419',
      'es-ar es-bo es-br es-bz es-cl es-co es-cr es-cu es-do es-ec es-gt es-hn es-mx es-ni es-pa es-pe es-pr es-py es-sv ' +
        'es-us es-uy es-ve',
    ],
    ['pt-pt', 'pt-ao pt-ch pt-cv pt-fr pt-gq pt-gw pt-lu pt-mo pt-mz pt-st pt-tl'],
    ['zh-hant-hk', 'zh-hant-mo'],
    ['no', 'nb nn'],
  ].flatMap(([parent = '', children = '']) =>
    children.split(' ').map((child): [string, string] => [child, parent]),
  ),
)
/** Languages whose readers also read another one: Norwegian is written as Bokmål unless it says otherwise. */
const ALSO: ReadonlyMap<string, readonly string[]> = new Map([
  ['no', ['nb', 'nn']],
  ['nb', ['nn']],
  ['nn', ['nb']],
])
/** Codes that ISO 639 has replaced, and that file names and applications still use. */
const FORMER: ReadonlyMap<string, string> = new Map([
  ['he', 'iw'],
  ['id', 'in'],
  ['yi', 'ji'],
  ['fil', 'tl'],
  ['ro', 'mo'],
])
/** Registered variants (RFC 5646 section 3.1.7) that name translations in practice. */
const VARIANTS = new Set(['valencia', 'tarask', '1901', '1996', 'polyton', 'oxendict', 'scotland'])
type Subtag = 'language' | 'script' | 'region'
/** Created when first needed, which takes 25 ms. */
const names = new Map<Subtag, Intl.DisplayNames>()
const MAX_CHAINS = 1_000
const chains = new Map<string, readonly string[]>()

/**
 * The locales to look a variant up by, the best first, in lower case: for `zh-TW` these are `zh-tw`, `zh-hant-tw`, `zh-hant`,
 * `zh`. Empty without a locale.
 */
export function localeChain(locale: string | undefined): readonly string[] {
  if (locale === undefined || locale === '') return []
  const known = chains.get(locale)
  if (known !== undefined) return known
  const chain = buildChain(locale.replaceAll('_', '-').toLowerCase())
  if (chains.size >= MAX_CHAINS) chains.clear()
  chains.set(locale, chain)
  return chain
}

/** The name of the variant for a locale: the first of its chain that exists, or else '', which is the default. */
export function variantFor(locale: string | undefined, exists: (name: string) => boolean): string {
  return localeChain(locale).find(exists) ?? ''
}

function buildChain(tag: string): string[] {
  const chain = new Set([tag])
  const start = canonicalOf(tag) ?? tag
  for (let current: string | undefined = start; current !== undefined; current = parentOf(current)) {
    chain.add(current)
    for (const equal of equivalents(current)) chain.add(equal)
  }
  const [language = ''] = start.split('-')
  for (const other of ALSO.get(language) ?? []) chain.add(other)
  for (const name of [...chain]) {
    const [first = '', ...rest] = name.split('-')
    const former = FORMER.get(first)
    if (former !== undefined) chain.add([former, ...rest].join('-'))
  }
  return [...chain]
}

/** The next locale of the chain: CLDR's parent, the likely script without the region, or the tag without its last subtag. */
function parentOf(tag: string): string | undefined {
  const parent = PARENTS.get(tag)
  if (parent !== undefined) return parent
  const { language, script, region } = partsOf(tag)
  if (script === undefined && region !== undefined && tag === `${language}-${region}`) {
    const likely = maximized(tag).script
    if (likely !== undefined) return PARENTS.get(`${language}-${likely}-${region}`) ?? `${language}-${likely}`
  }
  const end = tag.lastIndexOf('-')
  if (end < 0) return undefined
  // A single letter begins an extension and goes with it (RFC 4647 section 3.4).
  const shorter = tag.slice(0, end)
  return /-[a-z0-9]$/.test(shorter) ? shorter.slice(0, -2) : shorter
}

/** Tags that mean the same: `zh-TW` and `zh-Hant-TW`, `zh-Hant` and `zh-TW`, `zh` and `zh-Hans`. */
function equivalents(tag: string): string[] {
  const { language, script } = partsOf(tag)
  const likely = maximized(tag)
  if (language === undefined || likely.script === undefined) return []
  if (script === undefined) return [tag.replace(language, `${language}-${likely.script}`)]
  // Only for a script that is not the usual one: `fr-FR` is no better for `fr-Latn` than `fr`.
  const usual = maximized(language).script
  return script !== usual && tag === `${language}-${script}` ? [`${language}-${likely.region}`] : []
}

/**
 * Whether the end of a file name is a locale: `fr`, `pt-BR`, `zh_Hant_TW`. A word that only has the form of one is not: `new`
 * in `order.new.mjml` is also the code of Newari, for which nobody has a translation of dates and numbers.
 */
export function isLocale(text: string): boolean {
  const [language = '', ...rest] = text.replaceAll('_', '-').split('-')
  if (!/^[a-z]{2,3}$/i.test(language) || !isNamed('language', language)) return false
  if (language.length === 3 && Intl.DateTimeFormat.supportedLocalesOf([language]).length === 0) return false
  if (/^[a-z]{4}$/i.test(rest[0] ?? '') && !isNamed('script', titleCase(rest.shift() ?? ''))) return false
  if (/^(?:[a-z]{2}|\d{3})$/i.test(rest[0] ?? '') && !isNamed('region', (rest.shift() ?? '').toUpperCase()))
    return false
  return rest.every((variant) => VARIANTS.has(variant.toLowerCase()))
}

/** Whether a code means something, in CLDR's English names. */
function isNamed(type: Subtag, code: string): boolean {
  let known = names.get(type)
  if (known === undefined) names.set(type, (known = new Intl.DisplayNames('en', { type, fallback: 'none' })))
  return known.of(code) !== undefined
}

function titleCase(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1).toLowerCase()
}

interface Parts {
  language?: string
  script?: string | undefined
  region?: string | undefined
}

function partsOf(tag: string, change: (locale: Intl.Locale) => Intl.Locale = (locale) => locale): Parts {
  try {
    const { language, script, region } = change(new Intl.Locale(tag))
    return { language, script: script?.toLowerCase(), region: region?.toLowerCase() }
  } catch {
    return {}
  }
}

function maximized(tag: string): Parts {
  return partsOf(tag, (locale) => locale.maximize())
}

function canonicalOf(tag: string): string | undefined {
  try {
    return new Intl.Locale(tag).toString().toLowerCase()
  } catch {
    return undefined
  }
}
