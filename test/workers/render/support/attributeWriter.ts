import type { Choices } from './choices.js'

/** Writes attributes of components: as they are, or bound. */
export class AttributeWriter {
  constructor(private readonly choose: Choices) {}

  /** Those MJML computes with come last, after a bar, and are bound seldom. */
  write(names: string): string {
    const [copied = '', computed = ''] = names.split(' | ')
    return this.choose.many(0, 2, () => {
      const rare = computed !== '' && this.choose.chance(3)
      const name = this.choose.one(...(rare ? computed : copied).split(' '))
      if (!this.choose.chance(rare ? 10 : 45)) return this.#literal(name)
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
    return this.choose.one(
      `{{${path}}}`,
      `{{${path}}}`,
      `{{#if @root.yes}}{{${path}}}{{else}}${this.#plain(name)}{{/if}}`,
      name === 'css-class' ? 'one {{@root.a}} two' : `{{${path}}}`,
    )
  }

  #plain(name: string): string {
    if (name.includes('color')) return this.choose.one('#fff', '#123456', 'blue')
    if (/href|src|url/.test(name)) return 'https://e.example/x.png'
    if (/size|padding|width|height|radius/.test(name)) return this.choose.one('10px', '20px', '33%')
    return this.choose.one('left', 'x', 'top')
  }

  #literal(name: string): string {
    return ` ${name}="${this.#plain(name)}"`
  }
}
