import { expect, test } from 'vitest'
import { compareBoth, compile } from './support/both.js'
import { corpusIsThere, corpusTemplates, withExpressions } from './support/corpus.js'

const data = [
  {
    name: 'Ada & <b>Bob</b>',
    city: 'Łódź',
    vip: true,
    url: 'https://a.example/?a=1&b=2',
    brand: { color: '#abc' },
    items: [1, 2, 3],
  },
  { name: '"', city: '', vip: false, url: '/x', brand: { color: 'red' }, items: [] },
  { name: 'x', city: 'y', vip: 1, url: 'mailto:a@b.example', brand: { color: '#a1b2c3' }, items: [1] },
]

// The real templates exist only on some machines, beside the repository.
test.skipIf(!corpusIsThere)(
  'real templates with added expressions render as when Handlebars runs before MJML',
  { timeout: 600_000 },
  async () => {
    let once = 0
    const notOnce: string[] = []
    const templates = corpusTemplates()
    for (const { name, source } of templates) {
      const generated = { source: withExpressions(source), partials: {} }
      const compiled = await compile(generated)
      if (compiled.late === undefined) notOnce.push(`${name}: ${compiled.findings[0]?.reason ?? ''}`)
      else once++
      for (const value of data) {
        const verdict = await compareBoth(generated, compiled, value)
        expect(verdict.verdict === 'equal' ? 'equal' : `${name}: ${verdict.why}`).toBe('equal')
      }
    }
    console.log(
      `${once} of ${templates.length} real templates compile once${notOnce.map((line) => `\n  ${line}`).join('')}`,
    )
    expect(once).toBeGreaterThan(templates.length / 2)
  },
)
