import fc from 'fast-check'

const PLAIN = { noNullPrototype: true } as const

const HOSTILE = [
  '',
  'Ada',
  'Tom & Jerry',
  '<b>bold</b>',
  '"quoted" and \'single\'',
  '{{a}} {{{b}}}',
  '</mj-text><mj-raw>x</mj-raw>',
  '$& $1 $$',
  'two\nlines',
  '  edges  ',
  'a=b`c`',
  '<!-- comment -->',
  '<![endif]--><!--[if mso | IE]>',
  'Größe 漢字 👋🏽',
  'font-family: Roboto',
  'Roboto',
  'true',
  'false',
  'none',
  '&lt;',
  '-->',
  '0',
  '\u00a0Ada',
  'Ada\u2003',
  '\ufeffx\v',
  ' \u00a0 ',
  '\u2028',
  'a\u00a0\u00a0b',
  'two  words\n and\tmore',
]

const text = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...HOSTILE) },
  { weight: 2, arbitrary: fc.string({ maxLength: 12 }).map((value) => value.replaceAll('\0', '')) },
  { weight: 2, arbitrary: fc.stringMatching(/^[a-zA-Z ]{1,12}$/) },
)

const url = fc.constantFrom(
  'https://shop.example/o/42?a=1&b=2',
  '/orders',
  'mailto:a@b.example',
  'https://x.example/"><b>',
  '#top',
  'https://x.example/$&',
)
const color = fc.constantFrom('#abc', '#a1b2c3', 'red', 'rgba(1,2,3,0.5)', '#ABCDEF', 'none')
const size = fc.constantFrom('12px', '0', '50%', '7px', '100px', '10px 20px')
const html = fc.constantFrom(
  'plain',
  '<b>bold</b>',
  'a &amp; b',
  '<a href="https://x.example">x</a>',
  '<br/>',
  'a < b',
  '<i>open',
  '<p class="x">y</p>',
  '',
  '<span style="font-family: Lato">z</span>',
  '<!-- c -->',
)

/** Everything a generated template can ask for, in every kind. */
export const data = fc.record(
  {
    a: text,
    b: text,
    c: text,
    n: fc.integer({ min: -3, max: 1000 }),
    yes: fc.boolean(),
    no: fc.boolean(),
    nothing: fc.constantFrom(null, '', 0, false),
    url,
    color,
    size,
    html,
    list: fc.array(
      fc.record(
        { x: text, y: text, url, color, on: fc.boolean(), tags: fc.array(text, { maxLength: 2 }) },
        PLAIN,
      ),
      {
        maxLength: 3,
      },
    ),
    map: fc.record({ k1: text, k2: text }, PLAIN),
    obj: fc.record({ p: text, q: fc.record({ r: text }, PLAIN) }, PLAIN),
    empty: fc.constant([]),
  },
  PLAIN,
)
