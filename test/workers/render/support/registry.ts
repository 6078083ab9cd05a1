import { createRequire } from 'node:module'

/** The entry of a component in MJML's own registry. */
export interface Component {
  tag: string
  /** Attributes with MJML's type of each: `color`, `unit(px,%)`, `enum(left,right)`, `string`. */
  attributes: Readonly<Record<string, string>>
  children: readonly string[]
}

interface Registered {
  allowedAttributes?: Record<string, string>
}

/** Every component that MJML can show in a body, with what it allows. */
export function bodyComponents(): ReadonlyMap<string, Component> {
  const ofMjml = createRequire(createRequire(import.meta.url).resolve('mjml'))
  const { components } = ofMjml('mjml-core') as { components: Record<string, Registered> }
  const { dependencies } = ofMjml('mjml-preset-core') as { dependencies: Record<string, readonly string[]> }
  const found = new Map<string, Component>()
  const add = (tag: string): void => {
    if (found.has(tag)) return
    const children = dependencies[tag] ?? []
    found.set(tag, { tag, attributes: components[tag]?.allowedAttributes ?? {}, children })
    for (const child of children) add(child)
  }
  add('mj-body')
  return found
}

/** The components around one, from the body inward, the nearest way. */
export function wayTo(tag: string, components: ReadonlyMap<string, Component>): string[] {
  const ways: string[][] = [['mj-body']]
  for (const way of ways) {
    const last = way.at(-1) ?? ''
    if (last === tag) return way
    for (const child of components.get(last)?.children ?? [])
      if (!way.includes(child)) ways.push([...way, child])
  }
  throw new Error(`MJML allows ${tag} nowhere`)
}

/** A value of MJML's type; each number gives another one, as far as the type has that many. */
export function valueOf(attribute: string, type: string, number: number): string {
  const choices = /^enum\((.*)\)$/.exec(type)?.[1]?.split(',')
  if (choices !== undefined) return choices[number % choices.length] ?? ''
  if (type === 'color') return `#a0b0c${number}`
  if (type === 'boolean') return number % 2 === 0 ? 'true' : 'false'
  if (type === 'integer') return `${number + 1}`
  if (type.startsWith('unit')) return type.includes('px') ? `${10 + number}px` : `${10 + number}%`
  if (/href|src|url|usemap/.test(attribute)) return `https://shop.example/${number}`
  if (attribute.startsWith('border')) return `${1 + number}px solid #a0b0c${number}`
  if (attribute === 'font-weight') return `${number + 1}00`
  if (attribute === 'background-position') return `${number}% ${number}%`
  return `word${number}`
}
