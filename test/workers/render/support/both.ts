import { createHelpers } from '../../../../workers/render/helpers/builtInHelpers.js'
import { PerMessageTemplate } from '../../../../workers/render/perMessageTemplate.js'
import { compileTemplate } from '../../../../workers/render/precompiled/compileTemplate.js'
import type { CompiledTemplate } from '../../../../workers/render/precompiled/compiledTemplate.js'
import { diff } from '../../../../workers/render/precompiled/verifyPrecompiled.js'
import type { CriticalSection } from '../../../../workers/render/renderer.js'
import { Template } from '../../../../workers/render/template.js'
import type { VariantSource } from '../../../../workers/render/template/parseTemplate.js'
import { type SourceFile, TemplateFailure } from '../../../../workers/render/template/sourceFile.js'
import type { Generated } from './generator.js'
import { renderPerMessage } from './reference.js'

export const helpers = createHelpers(new Map(), new Map())
export const critical: CriticalSection = (_step, work) => work()

export function sourceOf({ source, partials }: Generated): VariantSource {
  const files = new Map<string, SourceFile>(
    Object.entries(partials).map(([name, text]) => [name, { name: `partials/${name}.mjml`, text }]),
  )
  const parts = {
    partials: files,
    layouts: new Map(),
    include: () => ({ refused: 'is not part of this test' }),
    helpers: new Set(helpers.byName.keys()),
    customHelpers: new Set<string>(),
  }
  return { main: { name: 'test.mjml', text: source }, parts, textParts: parts }
}

export function compile(generated: Generated): Promise<CompiledTemplate> {
  return compileTemplate(sourceOf(generated), { critical, customHelpers: new Set() })
}

export type Verdict =
  | { verdict: 'equal'; how: 'precompiled' | 'per message' | 'per message for this data' }
  | { verdict: 'rejected'; why: string }
  | { verdict: 'differs'; why: string }

/** Renders both ways and compares threadpost's HTML with the reference's, and its precompiled parts with those rendered per message. */
export async function compareBoth(
  generated: Generated,
  compiled: CompiledTemplate,
  data: unknown,
): Promise<Verdict> {
  const input = { data: data as never, variables: { locale: 'en' } }
  const reference = await renderPerMessage(generated.source, generated.partials, data).catch(
    (error: unknown) => error as Error,
  )
  try {
    const parts = await (await Template.of(compiled, helpers)).render(input, critical)
    if (reference instanceof Error)
      return { verdict: 'differs', why: `only the reference fails: ${reference.message}` }
    const difference = diff(reference, parts.html)
    if (difference !== undefined)
      return {
        verdict: 'differs',
        why: `reference   ${difference.perMessage}\nthreadpost  ${difference.precompiled}`,
      }
    if (parts.htmlRow === undefined)
      return {
        verdict: 'equal',
        how: compiled.late === undefined ? 'per message' : 'per message for this data',
      }
    const expected = await new PerMessageTemplate(compiled.trees, helpers).render(input, critical)
    for (const part of ['subject', 'preheader', 'text'] as const)
      if (expected[part] !== parts[part])
        return {
          verdict: 'differs',
          why: `${part}: per message ${expected[part]}\nprecompiled ${parts[part]}`,
        }
    return { verdict: 'equal', how: 'precompiled' }
  } catch (error) {
    if (error instanceof TemplateFailure && (error.code === 'TEMPLATE_ERROR' || reference instanceof Error))
      return { verdict: 'rejected', why: error.message }
    throw error
  }
}
