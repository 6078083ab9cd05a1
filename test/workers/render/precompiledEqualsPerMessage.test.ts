import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compareBoth, compile } from './support/both.js'
import { data } from './support/data.js'
import { type Generated, generateTemplate } from './support/generator.js'
import { scopeData } from './support/scopeData.js'

// Any number of cases: THREADPOST_CASES=10000 THREADPOST_SEED=7 npx vitest run test/workers/render/precompiledEqualsPerMessage.test.ts
// Without a seed the cases are the same each time, so that a change and not chance decides whether the test passes.
const cases = Number(process.env['THREADPOST_CASES'] ?? 1000)
const seed = Number(process.env['THREADPOST_SEED'] ?? 2026)

test(
  `a precompiled template gives the same result as rendering per message in ${cases} generated cases`,
  { timeout: cases * 2_000 },
  async () => {
    const tally: Record<string, number> = {}
    const count = (what: string) => (tally[what] = (tally[what] ?? 0) + 1)
    const property = fc.asyncProperty(
      fc.gen(),
      fc.array(
        fc.tuple(data, scopeData).map(([plain, scopes]) => ({ ...scopes, ...plain })),
        { minLength: 2, maxLength: 2 },
      ),
      async (generate, values) => {
        const generated = generateTemplate(generate)
        const compiled = await compile(generated)
        for (const value of values) {
          const verdict = await compareBoth(generated, compiled, value)
          count(verdict.verdict === 'equal' ? verdict.how : verdict.verdict)
          expect(verdict.verdict === 'differs' ? report(generated, verdict.why, value) : 'equal').toBe(
            'equal',
          )
        }
      },
    )
    await fc.assert(property, { numRuns: cases, seed, endOnFailure: true })
    console.log(`precompiled == per message: ${JSON.stringify(tally)}`)
    expect(tally['precompiled']).toBeGreaterThan(cases / 10)
  },
)

function report({ source, partials }: Generated, why: string, value: unknown): string {
  return `${why}\n\n${source}\n\n${JSON.stringify(partials)}\n\n${JSON.stringify(value)}`
}
