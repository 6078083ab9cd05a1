import fc from 'fast-check'
import { ScopeWriter } from './scopeWriter.js'

/** A generated template with its partials. */
export interface Generated {
  source: string
  partials: Record<string, string>
}

type Kind = 'root' | 'item' | 'tag'

/** Writes templates: every component, every kind of expression, every position. */
class Writer {
  readonly partials: Record<string, string> = {}
  #parameters = 0
  #budget = 9
  readonly #scopes: ScopeWriter

  constructor(private readonly pick: <T>(arbitrary: fc.Arbitrary<T>) => T) {
    this.#scopes = new ScopeWriter(pick, this.partials)
  }

  #one<T>(...of: T[]): T {
    return this.pick(fc.constantFrom(...of))
  }

  #chance(percent: number): boolean {
    return this.pick(fc.integer({ min: 1, max: 100 })) <= percent
  }

  #many(least: number, most: number, part: () => string): string {
    const count = this.pick(fc.integer({ min: least, max: most }))
    return Array.from({ length: count }, part).join(this.#one('', '\n', ' '))
  }

  /** A path that leads somewhere in this kind of context. */
  #path(kind: Kind): string {
    if (kind === 'root')
      return this.#one(
        'a',
        'b',
        'this.c',
        'n',
        'obj.p',
        'obj.q.r',
        'map.k1',
        'nothing',
        '@root.b',
        './a',
        'obj.[p]',
      )
    if (kind === 'item')
      return this.#one('x', 'this.y', '@root.a', '@index', '@key', '@first', '@last', 'on', 'color')
    return this.#one('this', '@index', '@root.c', '.')
  }

  value(kind: Kind): string {
    const path = this.#path(kind)
    switch (this.pick(fc.integer({ min: 0, max: 9 }))) {
      case 0:
        return `{{~${path}}}`
      case 1:
        return `{{${path}~}}`
      case 2:
        return `{{default ${path} "none given"}}`
      case 3:
        return `{{lookup @root.map "k2"}}`
      case 4:
        return `{{! a comment }}{{${path}}}{{!-- {{b}} --}}`
      case 5:
        return `\\{{${path.replace(/[^a-z]/g, '')}}}`
      case 6:
        return this.#chance(30) ? '{{{@root.html}}}' : `{{${path}}}`
      default:
        return `{{${path}}}`
    }
  }

  #condition(kind: Kind): string {
    if (kind === 'item') return this.#one('on', '@first', '@last', 'x', '@root.yes', '(eq x y)', 'tags')
    if (kind === 'tag') return this.#one('this', '@first', '@root.no')
    return this.#one(
      'yes',
      'no',
      'nothing',
      'list',
      'empty',
      'absent',
      '(eq a b)',
      '(and yes no)',
      '(or yes absent)',
      '(not no)',
      'n includeZero=true',
      'obj',
    )
  }

  /** A block around what `inner` writes, in one of Handlebars' ways. */
  block(kind: Kind, inner: (kind: Kind) => string, words = true): string {
    if (this.#budget-- <= 0) return inner(kind)
    const tilde = () => this.#one('', '', '', '~')
    const otherwise = () => (this.#chance(40) ? `{{${this.#one('else', '^')}}}${inner(kind)}` : '')
    switch (this.pick(fc.integer({ min: 0, max: 13 }))) {
      case 10: {
        const name = `it${this.#parameters++}`
        const says = words ? `{{${name}.x}}` : ''
        return `{{#each @root.list as |${name}|}}{{#each ${name}.tags as |tag|}}${inner('tag')}{{else if ${name}.on}}${inner('item')}${says}{{else}}${inner('item')}${says}{{/each}}{{/each}}`
      }
      case 11: {
        const name = `it${this.#parameters++}`
        const says = words ? `{{${name}.p}}{{../a}}` : ''
        return `{{#with @root.obj as |${name}|}}{{#if ${name}.absent}}x{{else with ${name}.q}}${words ? `{{r}}{{${name}.p}}` : ''}{{/if}}${says}{{/with}}${inner(kind)}`
      }
      case 12: {
        const repeats = this.#chance(50)
        const block = repeats
          ? `{{#each @root.list}}{{> @partial-block}}{{/each}}`
          : `{{#if @root.${this.#one('yes', 'no')}}}{{> @partial-block}}{{else}}{{> @partial-block}}{{/if}}`
        const name = this.#define(block)
        return `{{#> ${name}}}${inner(repeats ? 'item' : kind)}{{/${name}}}`
      }
      case 13: {
        const name = `in${this.#parameters++}x`
        return `{{#*inline "${name}"}}${inner(kind)}{{/inline}}{{> ${name}}}`
      }
      case 0:
      case 1:
      case 2:
        return `{{${words ? tilde() : ''}#if ${this.#condition(kind)}${words ? tilde() : ''}}}${inner(kind)}${otherwise()}{{/if}}`
      case 3:
        return `{{#unless ${this.#condition(kind)}}}${inner(kind)}${otherwise()}{{${tilde()}/unless}}`
      case 4:
        return `{{#if ${this.#condition(kind)}}}${inner(kind)}{{else if ${this.#condition(kind)}}}${inner(kind)}{{else}}${inner(kind)}{{/if}}`
      case 5: {
        const name = `it${this.#parameters++}`
        return `{{#each @root.list as |${name} i|}}${inner('item')}${words ? `{{${name}.x}}{{i}}` : ''}${otherwise()}{{/each}}`
      }
      case 6:
        return kind === 'item'
          ? `{{#each tags}}${inner('tag')}{{/each}}`
          : `{{#each @root.list}}${inner('item')}{{/each}}`
      case 7:
        return kind === 'root'
          ? `{{#list}}${inner('item')}{{/list}}`
          : `{{#each @root.map}}${inner('tag')}{{/each}}`
      case 8:
        return kind === 'root'
          ? `{{#with obj}}${words ? '{{p}}{{../b}}' : ''}{{/with}}${inner(kind)}`
          : `{{#with @root.obj}}${words ? '{{q.r}}' : ''}{{/with}}${inner(kind)}`
      default:
        return `{{#each @root.empty}}${inner('tag')}{{else}}${inner(kind)}{{/each}}`
    }
  }

  words(kind: Kind): string {
    return this.#many(1, 2, () => {
      const roll = this.pick(fc.integer({ min: 0, max: 13 }))
      if (roll > 11) return `{{#with @root}}${this.#scopes.words()}{{/with}}`
      if (roll < 4) return this.value(kind)
      if (roll === 4) return this.block(kind, (inner) => this.words(inner))
      if (roll === 5) return `<a href="{{@root.url}}" title="${this.value(kind)}">${this.value(kind)}</a>`
      if (roll === 6) return `<b ${this.block(kind, () => 'class="x"', false)}>bold</b>`
      if (roll === 7) return `<span style="color: {{@root.color}}">${this.value(kind)}</span>`
      if (roll === 8) return this.partial(`${this.#one('Part', 'of')} {{@root.a}}`)
      if (roll === 9) return `<!-- ${this.value(kind)} -->`
      return this.#one(
        'Hello',
        'dear &amp; old',
        '<i>it</i>',
        '<p>par</p>',
        '{{#*inline "in"}}<u>{{@root.c}}</u>{{/inline}}{{> in}}',
      )
    })
  }

  #define(source: string): string {
    const name = `part${Object.keys(this.partials).length}`
    this.partials[name] = source
    return name
  }

  partial(source: string): string {
    const name = this.#define(source)
    return this.#one(`{{> ${name}}}`, `{{>${name}~}}`, `{{> ${name} z=1}}`)
  }

  /** Those MJML computes with come last, after a bar, and are bound seldom. */
  #attributes(names: string): string {
    const [copied = '', computed = ''] = names.split(' | ')
    return this.#many(0, 2, () => {
      const rare = computed !== '' && this.#chance(3)
      const name = this.#one(...(rare ? computed : copied).split(' '))
      if (!this.#chance(rare ? 10 : 45)) return this.#literal(name)
      return ` ${name}="${this.#bound(name)}"`
    })
  }

  #bound(name: string): string {
    const path = name.includes('color')
      ? '@root.color'
      : /href|src|url/.test(name)
        ? '@root.url'
        : /size|padding|width|height|radius/.test(name)
          ? '@root.size'
          : '@root.b'
    return this.#one(
      `{{${path}}}`,
      `{{${path}}}`,
      `{{#if @root.yes}}{{${path}}}{{else}}${this.#plain(name)}{{/if}}`,
      name === 'css-class' ? 'one {{@root.a}} two' : `{{${path}}}`,
    )
  }

  #plain(name: string): string {
    if (name.includes('color')) return this.#one('#fff', '#123456', 'blue')
    if (/href|src|url/.test(name)) return 'https://e.example/x.png'
    if (/size|padding|width|height|radius/.test(name)) return this.#one('10px', '20px', '33%')
    return this.#one('left', 'x', 'top')
  }

  #literal(name: string): string {
    return ` ${name}="${this.#plain(name)}"`
  }

  /** Children of one kind, some of them inside blocks. */
  #children(least: number, most: number, child: (kind: Kind) => string, kind: Kind): string {
    return this.#many(least, most, () => {
      if (this.#chance(22))
        return this.block(kind, (inner) => this.#many(this.#chance(20) ? 0 : 1, 2, () => child(inner)), false)
      if (this.#chance(5)) return this.partial(child(kind).replaceAll('{{>', '{{! >'))
      return child(kind)
    })
  }

  content(kind: Kind): string {
    const { words } = this
    const inner = () => words.call(this, kind)
    switch (this.pick(fc.integer({ min: 0, max: 11 }))) {
      case 0:
      case 1:
      case 2:
        return `<mj-text${this.#attributes('color font-size align css-class padding height container-background-color | font-family')}>${inner()}</mj-text>`
      case 3:
        return `<mj-button${this.#attributes('href background-color color title css-class border-radius | width inner-padding')}>${inner()}</mj-button>`
      case 4:
        return `<mj-image${this.#attributes('src alt href css-class title border-radius | width')} />`
      case 5:
        return `<mj-table${this.#attributes('color css-class cellpadding | width')}><tr><td>${inner()}</td></tr>${this.block(kind, (deeper) => `<tr><td>${this.words(deeper)}</td></tr>`)}</mj-table>`
      case 6:
        return `<mj-divider${this.#attributes('border-color border-width css-class | width padding')} />`
      case 7:
        return `<mj-spacer${this.#attributes('height css-class')} />`
      case 8:
        return `<mj-raw><p>${inner()}</p></mj-raw>`
      case 9:
        return `<mj-social${this.#attributes('color css-class | mode')}>${this.#children(1, 2, (deeper) => `<mj-social-element name="facebook"${this.#attributes('href alt src color')}>${this.words(deeper)}</mj-social-element>`, kind)}</mj-social>`
      case 10:
        return `<mj-navbar${this.#chance(50) ? ' hamburger="hamburger"' : ''}>${this.#children(1, 2, (deeper) => `<mj-navbar-link${this.#attributes('href color css-class')}>${this.words(deeper)}</mj-navbar-link>`, kind)}</mj-navbar>`
      default:
        return this.#chance(85)
          ? `<mj-accordion>${this.#children(1, 2, (deeper) => `<mj-accordion-element><mj-accordion-title>${this.words(deeper)}</mj-accordion-title><mj-accordion-text>${this.words(deeper)}</mj-accordion-text></mj-accordion-element>`, kind)}</mj-accordion>`
          : `<mj-carousel>${this.#children(1, 2, () => `<mj-carousel-image src="https://e.example/1.png"${this.#attributes('alt href')} />`, kind)}</mj-carousel>`
    }
  }

  column(kind: Kind): string {
    const width = this.#chance(40) ? ` width="${this.#one('50%', '200px', '100%')}"` : ''
    return `<mj-column${width}${this.#attributes('background-color css-class vertical-align border-radius | padding')}>${this.#children(1, 2, (deeper) => this.content(deeper), kind)}</mj-column>`
  }

  section(kind: Kind): string {
    const columns = this.#chance(12)
      ? `<mj-group>${this.#children(1, 2, (deeper) => this.column(deeper), kind)}</mj-group>`
      : this.#children(1, 2, (deeper) => this.column(deeper), kind)
    return `<mj-section${this.#attributes('background-color css-class background-url text-align | gutter padding')}>${columns}</mj-section>`
  }

  body(kind: Kind): string {
    const roll = this.pick(fc.integer({ min: 0, max: 9 }))
    if (roll === 0)
      return `<mj-wrapper${this.#attributes('background-color css-class | gap padding')}>${this.#children(1, 2, (deeper) => this.section(deeper), kind)}</mj-wrapper>`
    if (roll === 1)
      return `<mj-hero${this.#attributes('background-url background-color css-class | height')}>${this.#children(1, 2, (deeper) => `<mj-text>${this.words(deeper)}</mj-text>`, kind)}</mj-hero>`
    if (roll === 2) return `<mj-raw>${this.words(kind)}</mj-raw>`
    return this.section(kind)
  }

  head(): string {
    return this.#many(0, 2, () => {
      switch (this.pick(fc.integer({ min: 0, max: 9 }))) {
        case 0:
        case 1:
          return `<mj-title>${this.words('root')}</mj-title>`
        case 2:
          return `<mj-preview>${this.words('root')}</mj-preview>`
        case 3:
          return `<mj-attributes><mj-all${this.#attributes('color font-size | font-family')} /><mj-text${this.#attributes('color padding')} /></mj-attributes>`
        case 4:
          return `<mj-style>.x { color: ${this.#one('{{color}}', 'red')} }</mj-style>`
        case 5:
          if (this.#chance(60)) return ''
          return `<mj-style inline="inline">${this.#one('.x', 'b', 'td b', 'td:first-child', '[title]')} { color: red }</mj-style>`
        case 6:
          return '<mj-font name="Lato" href="https://fonts.example/lato" />'
        case 7:
          return `<mj-raw><meta name="x" content="{{a}}" /></mj-raw>`
        case 8:
          return '<mj-breakpoint width="300px" />'
        default:
          if (this.#chance(70)) return ''
          return this.block('root', () => '<mj-style>.y { color: blue }</mj-style>', false)
      }
    })
  }

  template(): string {
    const head = this.#chance(50) ? `<mj-head>${this.head()}</mj-head>` : ''
    return `<mjml>${head}<mj-body${this.#attributes('background-color css-class | width')}>${this.#children(1, 2, (kind) => this.body(kind), 'root')}</mj-body></mjml>`
  }
}

/** Writes one template, with what `fc.gen()` gives to choose with. */
export function generateTemplate(generate: fc.GeneratorValue): Generated {
  const writer = new Writer((arbitrary) => generate(() => arbitrary))
  const source = writer.template()
  return { source, partials: writer.partials }
}
