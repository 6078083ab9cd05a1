import type fc from 'fast-check'
import { AttributeWriter } from './attributeWriter.js'
import { Choices } from './choices.js'
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
  readonly #attributes: AttributeWriter

  constructor(private readonly choose: Choices) {
    this.#scopes = new ScopeWriter(choose, this.partials)
    this.#attributes = new AttributeWriter(choose)
  }

  /** A path that leads somewhere in this kind of context. */
  #path(kind: Kind): string {
    if (kind === 'root')
      return this.choose.one(
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
      return this.choose.one('x', 'this.y', '@root.a', '@index', '@key', '@first', '@last', 'on', 'color')
    return this.choose.one('this', '@index', '@root.c', '.')
  }

  value(kind: Kind): string {
    const path = this.#path(kind)
    switch (this.choose.number(0, 9)) {
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
        return this.choose.chance(30) ? '{{{@root.html}}}' : `{{${path}}}`
      default:
        return `{{${path}}}`
    }
  }

  #condition(kind: Kind): string {
    if (kind === 'item') return this.choose.one('on', '@first', '@last', 'x', '@root.yes', '(eq x y)', 'tags')
    if (kind === 'tag') return this.choose.one('this', '@first', '@root.no')
    return this.choose.one(
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
    const tilde = () => this.choose.one('', '', '', '~')
    const otherwise = () =>
      this.choose.chance(40) ? `{{${this.choose.one('else', '^')}}}${inner(kind)}` : ''
    switch (this.choose.number(0, 13)) {
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
        const repeats = this.choose.chance(50)
        const block = repeats
          ? `{{#each @root.list}}{{> @partial-block}}{{/each}}`
          : `{{#if @root.${this.choose.one('yes', 'no')}}}{{> @partial-block}}{{else}}{{> @partial-block}}{{/if}}`
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
    return this.choose.many(1, 2, () => {
      const roll = this.choose.number(0, 13)
      if (roll > 11) return `{{#with @root}}${this.#scopes.words()}{{/with}}`
      if (roll < 4) return this.value(kind)
      if (roll === 4) return this.block(kind, (inner) => this.words(inner))
      if (roll === 5) return `<a href="{{@root.url}}" title="${this.value(kind)}">${this.value(kind)}</a>`
      if (roll === 6) return `<b ${this.block(kind, () => 'class="x"', false)}>bold</b>`
      if (roll === 7) return `<span style="color: {{@root.color}}">${this.value(kind)}</span>`
      if (roll === 8) return this.partial(`${this.choose.one('Part', 'of')} {{@root.a}}`)
      if (roll === 9) return `<!-- ${this.value(kind)} -->`
      if (roll === 10) return this.laidOut(kind)
      return this.choose.one(
        'Hello',
        'dear &amp; old',
        '<i>it</i>',
        '<p>par</p>',
        '{{#*inline "in"}}<u>{{@root.c}}</u>{{/inline}}{{> in}}',
      )
    })
  }

  /** Returns text that the text part lays out on its own, or leaves out. */
  laidOut(kind: Kind): string {
    const words = this.value(kind)
    return this.choose.one(
      `<pre> a  ${words}\n  ${this.value(kind)} </pre>`,
      `<ol start="${this.choose.one('3', '{{@root.n}}')}"><li>${words}</li><li>b</li></ol>`,
      `<i style="${this.choose.one('display: none', 'max-height:0', 'visibility:hidden', 'color: {{@root.color}}', 'display: {{@root.nothing}}', '{{@root.a}}')}">${words}</i>`,
      `<i ${this.choose.one('hidden', '{{#if @root.yes}}hidden{{/if}}')}>${words}</i>`,
      `<a href="{{@root.url}}"><img alt="" src="/x.png"></a> <a href="{{@root.url}}">${words}</a>`,
      `\u00a0${words}\u2003`,
    )
  }

  #define(source: string): string {
    const name = `part${Object.keys(this.partials).length}`
    this.partials[name] = source
    return name
  }

  partial(source: string): string {
    const name = this.#define(source)
    return this.choose.one(`{{> ${name}}}`, `{{>${name}~}}`, `{{> ${name} z=1}}`)
  }

  /** Children of one kind, some of them inside blocks. */
  #children(least: number, most: number, child: (kind: Kind) => string, kind: Kind): string {
    return this.choose.many(least, most, () => {
      if (this.choose.chance(22))
        return this.block(
          kind,
          (inner) => this.choose.many(this.choose.chance(20) ? 0 : 1, 2, () => child(inner)),
          false,
        )
      if (this.choose.chance(5)) return this.partial(child(kind).replaceAll('{{>', '{{! >'))
      return child(kind)
    })
  }

  content(kind: Kind): string {
    const { words } = this
    const inner = () => words.call(this, kind)
    switch (this.choose.number(0, 11)) {
      case 0:
      case 1:
      case 2:
        return `<mj-text${this.#attributes.write('color font-size align css-class padding height container-background-color | font-family')}>${inner()}</mj-text>`
      case 3:
        return `<mj-button${this.#attributes.write('href background-color color title css-class border-radius | width inner-padding')}>${inner()}</mj-button>`
      case 4:
        return `<mj-image${this.#attributes.write('src alt href css-class title border-radius | width')} />`
      case 5:
        return `<mj-table${this.#attributes.write('color css-class cellpadding | width')}><tr><td>${inner()}</td></tr>${this.block(kind, (deeper) => `<tr><td>${this.words(deeper)}</td></tr>`)}</mj-table>`
      case 6:
        return `<mj-divider${this.#attributes.write('border-color border-width css-class | width padding')} />`
      case 7:
        return `<mj-spacer${this.#attributes.write('height css-class')} />`
      case 8:
        return `<mj-raw><p>${inner()}</p></mj-raw>`
      case 9:
        return `<mj-social${this.#attributes.write('color css-class | mode')}>${this.#children(1, 2, (deeper) => `<mj-social-element name="facebook"${this.#attributes.write('href alt src color')}>${this.words(deeper)}</mj-social-element>`, kind)}</mj-social>`
      case 10:
        return `<mj-navbar${this.choose.chance(50) ? ' hamburger="hamburger"' : ''}>${this.#children(1, 2, (deeper) => `<mj-navbar-link${this.#attributes.write('href color css-class')}>${this.words(deeper)}</mj-navbar-link>`, kind)}</mj-navbar>`
      default:
        return this.choose.chance(85)
          ? `<mj-accordion>${this.#children(1, 2, (deeper) => `<mj-accordion-element><mj-accordion-title>${this.words(deeper)}</mj-accordion-title><mj-accordion-text>${this.words(deeper)}</mj-accordion-text></mj-accordion-element>`, kind)}</mj-accordion>`
          : `<mj-carousel>${this.#children(1, 2, () => `<mj-carousel-image src="https://e.example/1.png"${this.#attributes.write('alt href')} />`, kind)}</mj-carousel>`
    }
  }

  column(kind: Kind): string {
    const width = this.choose.chance(40) ? ` width="${this.choose.one('50%', '200px', '100%')}"` : ''
    return `<mj-column${width}${this.#attributes.write('background-color css-class vertical-align border-radius | padding')}>${this.#children(1, 2, (deeper) => this.content(deeper), kind)}</mj-column>`
  }

  section(kind: Kind): string {
    const columns = this.choose.chance(12)
      ? `<mj-group>${this.#children(1, 2, (deeper) => this.column(deeper), kind)}</mj-group>`
      : this.#children(1, 2, (deeper) => this.column(deeper), kind)
    return `<mj-section${this.#attributes.write('background-color css-class background-url text-align | gutter padding')}>${columns}</mj-section>`
  }

  body(kind: Kind): string {
    const roll = this.choose.number(0, 9)
    if (roll === 0)
      return `<mj-wrapper${this.#attributes.write('background-color css-class | gap padding')}>${this.#children(1, 2, (deeper) => this.section(deeper), kind)}</mj-wrapper>`
    if (roll === 1)
      return `<mj-hero${this.#attributes.write('background-url background-color css-class | height')}>${this.#children(1, 2, (deeper) => `<mj-text>${this.words(deeper)}</mj-text>`, kind)}</mj-hero>`
    if (roll === 2) return `<mj-raw>${this.words(kind)}</mj-raw>`
    return this.section(kind)
  }

  head(): string {
    return this.choose.many(0, 2, () => {
      switch (this.choose.number(0, 9)) {
        case 0:
        case 1:
          return `<mj-title>${this.words('root')}</mj-title>`
        case 2:
          return `<mj-preview>${this.words('root')}</mj-preview>`
        case 3:
          return `<mj-attributes><mj-all${this.#attributes.write('color font-size | font-family')} /><mj-text${this.#attributes.write('color padding')} /></mj-attributes>`
        case 4:
          return `<mj-style>.x { color: ${this.choose.one('{{color}}', 'red')} }</mj-style>`
        case 5:
          if (this.choose.chance(60)) return ''
          return `<mj-style inline="inline">${this.choose.one('.x', 'b', 'td b', 'td:first-child', '[title]')} { color: red }</mj-style>`
        case 6:
          return '<mj-font name="Lato" href="https://fonts.example/lato" />'
        case 7:
          return `<mj-raw><meta name="x" content="{{a}}" /></mj-raw>`
        case 8:
          return '<mj-breakpoint width="300px" />'
        default:
          if (this.choose.chance(70)) return ''
          return this.block('root', () => '<mj-style>.y { color: blue }</mj-style>', false)
      }
    })
  }

  template(): string {
    const head = this.choose.chance(50) ? `<mj-head>${this.head()}</mj-head>` : ''
    return `<mjml${this.#attributes.write('lang dir')}>${head}<mj-body${this.#attributes.write('background-color css-class | width')}>${this.#children(1, 2, (kind) => this.body(kind), 'root')}</mj-body></mjml>`
  }
}

/** Writes one template, with what `fc.gen()` gives to choose with. */
export function generateTemplate(generate: fc.GeneratorValue): Generated {
  const writer = new Writer(new Choices((arbitrary) => generate(() => arbitrary)))
  const source = writer.template()
  return { source, partials: writer.partials }
}
