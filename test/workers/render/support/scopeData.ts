import fc from 'fast-check'

/** A kind of value in the data below: an object with fields, a list of one kind, or a plain value. */
export type Kind =
  | 'root'
  | 'customer'
  | 'order'
  | 'pair'
  | 'node'
  | 'text'
  | 'maybe'
  | `${'customer' | 'order' | 'node' | 'text' | 'maybe'}s`

export const FIELDS: Partial<Record<Kind, Record<string, Kind>>> = {
  root: {
    title: 'text',
    x: 'text',
    name: 'text',
    pair: 'pair',
    customers: 'customers',
    names: 'texts',
    one: 'texts',
    odd: 'maybes',
    tree: 'node',
    empty: 'texts',
    flag: 'maybe',
  },
  customer: { name: 'text', x: 'maybe', orders: 'orders', pair: 'pair', tags: 'texts' },
  order: { name: 'text', v: 'maybe', x: 'text', lines: 'texts', odd: 'maybes', pair: 'pair' },
  pair: { a: 'text', b: 'maybe', x: 'text' },
  node: { name: 'text', kids: 'nodes', x: 'text' },
}
export const ITEM: Partial<Record<Kind, Kind>> = {
  customers: 'customer',
  orders: 'order',
  nodes: 'node',
  texts: 'text',
  maybes: 'maybe',
  // Over an object, each gives its fields.
  pair: 'maybe',
}
const word = fc.constantFrom('', 'Ada', 'o', '0', 'a,b', '<b>', 'two\nlines', 'x=1 & "y"', '[object Object]')
const maybe = fc.constantFrom<unknown>(null, '', 0, 1, false, true, 'm', 'o', [], ['o'], { a: 'A' })
const plain = { noNullPrototype: true } as const
const some = <T>(arbitrary: fc.Arbitrary<T>) => fc.array(arbitrary, { maxLength: 3 })
const pair = fc.record({ a: word, b: maybe, x: word }, plain)
const order = fc.record({ name: word, v: maybe, x: word, lines: some(word), odd: some(maybe), pair }, plain)
const customer = fc.record({ name: word, x: maybe, orders: some(order), pair, tags: some(word) }, plain)
const { node } = fc.letrec((tie) => ({
  kids: fc.array(tie('node'), { maxLength: 2, depthIdentifier: 'node' }),
  node: fc.record(
    {
      name: word,
      x: word,
      kids: fc.oneof({ maxDepth: 2, depthIdentifier: 'node' }, fc.constant([]), tie('kids')),
    },
    plain,
  ),
}))

/** All that a generated template asks for, except that now and then a field is absent. */
export const scopeData: fc.Arbitrary<Record<string, unknown>> = fc
  .record(
    {
      title: word,
      x: word,
      name: word,
      pair,
      customers: some(customer),
      names: some(word),
      one: fc.array(word, { minLength: 1, maxLength: 1 }),
      odd: some(maybe),
      tree: node,
      empty: fc.constant([]),
      flag: maybe,
      file: fc.constantFrom('both', 'in0'),
    },
    plain,
  )
  .chain((whole) =>
    fc.option(fc.constantFrom(...Object.keys(whole)), { freq: 8 }).map((dropped) => {
      if (dropped === null) return whole
      const { [dropped]: _, ...rest } = whole as Record<string, unknown>
      return rest
    }),
  )
