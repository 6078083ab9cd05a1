/** Text that is HTML and safe to put into a page as it is. */
export class Html {
  readonly source: string

  constructor(source: string) {
    this.source = source
  }

  toString(): string {
    return this.source
  }
}

export type HtmlValue = Html | string | number | undefined | false | readonly HtmlValue[]

/**
 * Builds HTML; every value is escaped for text and quoted attributes, unless it was built by this tag itself.
 * `undefined` and `false` leave nothing, lists are joined.
 */
export function html(strings: TemplateStringsArray, ...values: HtmlValue[]): Html {
  let source = strings[0]!
  values.forEach((value, index) => {
    source += write(value) + strings[index + 1]!
  })
  return new Html(source)
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function write(value: HtmlValue): string {
  if (value === undefined || value === false) return ''
  if (value instanceof Html) return value.source
  if (typeof value === 'object') return value.map(write).join('')
  return String(value).replace(/[&<>"']/g, (character) => ENTITIES[character]!)
}
