import { afterEach, expect, test, vi } from 'vitest'
import type { TemplateNode } from '../../../workers/render/template/tree.js'
import { compareBoth, compile } from './support/both.js'

const template = {
  source:
    '<mjml><mj-body><mj-section><mj-column><mj-image src="https://e.example/x.png" width="{{width}}" /></mj-column></mj-section></mj-body></mjml>',
  partials: {},
}
const data = { width: '120px' }

// Breaks the rule as a mistake would: an attribute that MJML uses in a computation counts as copied.
vi.mock('../../../workers/render/analysis/components.js', { spy: true })
vi.mock('../../../workers/render/precompiled/verifyPrecompiled.js', { spy: true })
vi.mock('../../../workers/render/precompiled/assemble.js', { spy: true })
afterEach(() => vi.resetAllMocks())

async function breakTheRule(): Promise<void> {
  const components = await import('../../../workers/render/analysis/components.js')
  vi.mocked(components.isCopied).mockReturnValue(true)
}

test('a template with a computed attribute is rendered per message', async () => {
  const compiled = await compile(template)
  expect(compiled.findings[0]?.reason).toBe('MJML uses width of mj-image in a computation')
  expect(compiled.findings[0]?.at).toMatchObject({ file: 'test.mjml', line: 1, column: 86 })
  expect((await compareBoth(template, compiled, data)).verdict).toBe('equal')
})

test('the compiler detects a broken rule when it verifies the precompiled template', async () => {
  await breakTheRule()
  const compiled = await compile(template)
  expect(compiled.late).toBeUndefined()
  expect(compiled.findings[0]?.reason).toMatch(/gives a different result/)
})

test('the comparison of the tests fails with a broken rule and without verification', async () => {
  await breakTheRule()
  const { verifyPrecompiled } = await import('../../../workers/render/precompiled/verifyPrecompiled.js')
  vi.mocked(verifyPrecompiled).mockResolvedValue(undefined)
  const compiled = await compile(template)
  expect(compiled.late).toBeDefined()
  expect((await compareBoth(template, compiled, data)).verdict).toBe('differs')
})

/** A head setting that MJML copies into a block, whose item has a value of the same name. */
const inBlock = (settings: string, body: string) => ({
  source: `<mjml><mj-head><mj-attributes>${settings}</mj-attributes></mj-head><mj-body>${body}</mj-body></mjml>`,
  partials: {},
})
const items = { v: '/root', items: [{ v: '/first' }, { v: '/second' }] }
const copied = [
  inBlock(
    '<mj-class name="k" href="{{v}}" />',
    '<mj-section><mj-column>{{#each items}}<mj-button mj-class="k">x</mj-button>{{/each}}</mj-column></mj-section>',
  ),
  inBlock(
    '<mj-all font-size="{{v}}" />',
    '{{#each items}}<mj-section><mj-column><mj-text>x</mj-text></mj-column></mj-section>{{/each}}',
  ),
  inBlock(
    '',
    '{{#each items}}<mj-section><mj-column><mj-social color="{{v}}">{{#each ../items}}<mj-social-element src="x" href="y">x</mj-social-element>{{/each}}<mj-social-element src="x" href="y">x</mj-social-element></mj-social></mj-column></mj-section>{{/each}}',
  ),
]

/** Binds values in the scope that MJML copied them to. */
async function forgetScopes(): Promise<void> {
  const module = await import('../../../workers/render/precompiled/assemble.js')
  const { assemble } = await vi.importActual<typeof module>('../../../workers/render/precompiled/assemble.js')
  vi.mocked(module.assemble).mockImplementation((...given) => {
    const assembled = assemble(...given)
    return 'reason' in assembled ? assembled : { ...assembled, nodes: withoutAnchors(assembled.nodes) }
  })
}

function withoutAnchors(nodes: readonly TemplateNode[]): TemplateNode[] {
  return nodes.flatMap((node) => {
    if (node.kind === 'anchor' || node.kind === 'anchored') return withoutAnchors(node.body)
    if (node.kind !== 'block') return [node]
    return [{ ...node, body: withoutAnchors(node.body), inverse: withoutAnchors(node.inverse) }]
  })
}

test.each(copied)(
  'a precompiled template binds a value that MJML copies into a block in its own scope: $source',
  async (given) => {
    const compiled = await compile(given)
    expect(compiled.findings).toEqual([])
    expect(await compareBoth(given, compiled, items)).toEqual({ verdict: 'equal', how: 'precompiled' })
  },
)

test.each(copied)('the compiler detects a value that is bound in the wrong scope: $source', async (given) => {
  await forgetScopes()
  const compiled = await compile(given)
  expect(compiled.late).toBeUndefined()
  expect((await compareBoth(given, compiled, items)).verdict).toBe('equal')
})
