import { expect, test } from 'vitest'
import { Template } from '../../workers/render/template.js'
import { compile, critical, helpers } from './support/both.js'
import { corpusIsThere, receipt } from './support/corpus.js'
import { bindFirst } from './support/reference.js'

function median(times: number[]): number {
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0
}

async function timed(runs: number, work: () => unknown): Promise<number> {
  const times: number[] = []
  for (let run = 0; run < runs; run++) {
    const start = performance.now()
    await work()
    times.push(performance.now() - start)
  }
  return median(times)
}

test.skipIf(!corpusIsThere)(
  'binding the receipt costs a hundredth of running MJML',
  { timeout: 60_000 },
  async () => {
    const { source, data } = receipt()
    const template = await Template.of(await compile({ source, partials: {} }), helpers)
    const input = { data: data as never, variables: { locale: 'en' } }
    await timed(2000, () => template.render(input, critical))
    const bind = await timed(5000, () => template.render(input, critical))
    const mjml = await timed(100, () => bindFirst(source, {}, data))
    console.log(
      `HTML, subject and text: ${bind.toFixed(4)} ms; MJML a message: ${mjml.toFixed(2)} ms; ${Math.round(mjml / bind)} times`,
    )
    // A busy machine may halve it.
    expect(mjml / bind).toBeGreaterThan(50)
  },
)
