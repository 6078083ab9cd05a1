import { afterEach, expect, test, vi } from 'vitest'
import { compareBoth, compile } from './support/both.js'

const template = {
  source:
    '<mjml><mj-body><mj-section><mj-column><mj-image src="https://e.example/x.png" width="{{width}}" /></mj-column></mj-section></mj-body></mjml>',
  partials: {},
}
const data = { width: '120px' }

// The rule is broken as a mistake would break it: an attribute that MJML computes with counts as copied.
vi.mock('../../workers/render/soundness/components.js', { spy: true })
vi.mock('../../workers/render/late/selfCheck.js', { spy: true })
afterEach(() => vi.restoreAllMocks())

async function breakTheRule(): Promise<void> {
  const components = await import('../../workers/render/soundness/components.js')
  vi.mocked(components.isCopied).mockReturnValue(true)
}

test('with the rules whole, a computed attribute binds first', async () => {
  const compiled = await compile(template)
  expect(compiled.findings[0]?.reason).toBe('MJML computes with width of mj-image')
  expect(compiled.findings[0]?.at).toMatchObject({ file: 'test.mjml', line: 1, column: 86 })
  expect((await compareBoth(template, compiled, data)).verdict).toBe('equal')
})

test('a broken rule is found out by the compiler, which tries what it made', async () => {
  await breakTheRule()
  const compiled = await compile(template)
  expect(compiled.late).toBeUndefined()
  expect(compiled.findings[0]?.reason).toMatch(/comes out otherwise/)
})

test('without that, the comparison fails', async () => {
  await breakTheRule()
  const { selfCheck } = await import('../../workers/render/late/selfCheck.js')
  vi.mocked(selfCheck).mockResolvedValue(undefined)
  const compiled = await compile(template)
  expect(compiled.late).toBeDefined()
  expect((await compareBoth(template, compiled, data)).verdict).toBe('differs')
})
