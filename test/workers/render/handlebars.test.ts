import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { JsonObject } from '../../../src/protocol/tasks.js'
import { againstHandlebars } from './support/bindText.js'
import { scopeData } from './support/scopeData.js'
import { generateScopes } from './support/scopeWriter.js'

// Any number of cases: THREADPOST_CASES=20000 THREADPOST_SEED=7 npx vitest run test/workers/render/handlebars.test.ts
// Without a seed the cases are the same each time, so that a change and not chance decides whether the test passes.
const cases = Number(process.env['THREADPOST_CASES'] ?? 1000)
const seed = Number(process.env['THREADPOST_SEED'] ?? 2026)

test(
  `binding gives the same text as Handlebars in ${cases} generated cases`,
  { timeout: 60_000 + cases * 100 },
  () => {
    const tally: Record<string, number> = {}
    const values = fc.array(scopeData, { minLength: 2, maxLength: 2 })
    const property = fc.property(fc.gen(), values, (generate, [first, second]) => {
      const generated = generateScopes(generate)
      const compare = againstHandlebars(generated)
      for (const value of [first, second]) {
        const outcome = compare(value as JsonObject)
        if ('same' in outcome) tally[outcome.same] = (tally[outcome.same] ?? 0) + 1
        else expect.fail(report(generated, outcome.differs, value))
      }
    })
    fc.assert(property, { numRuns: cases, seed, endOnFailure: true })
    console.log(`as Handlebars: ${JSON.stringify(tally)}`)
    // Most templates must render, or nothing was compared.
    expect(tally['text']).toBeGreaterThan(cases)
  },
)

function report(
  { source, partials }: { source: string; partials: object },
  why: string,
  value: unknown,
): string {
  return `${why}\n\n${source}\n\n${JSON.stringify(partials)}\n\n${JSON.stringify(value)}`
}
