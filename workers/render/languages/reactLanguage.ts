import { parseJson } from '../../../src/protocol/parseJson.js'
import type { JsonObject } from '../../../src/protocol/tasks.js'
import type { Helpers } from '../bind/helperCall.js'
import type { CompiledTemplate } from '../precompiled/compiledTemplate.js'
import { bundle } from '../react/bundle.js'
import { evaluate, type Program } from '../react/program.js'
import { ReactTemplate } from '../react/reactTemplate.js'
import { parseTemplate, type VariantSource } from '../template/parseTemplate.js'
import { TemplateFailure } from '../template/sourceFile.js'
import type { CheckResult, SampleInput } from '../templateCheck.js'
import type { TemplateLanguage } from './language.js'

/**
 * React components, as React Email has them. A component is a program, so it is rendered for each message: where it computes with a
 * prop, no placeholder can stand for the value.
 */
export const reactLanguage: TemplateLanguage = {
  name: 'react',
  extensions: ['.tsx', '.jsx'],
  declare: async (source) => {
    const { module } = await programOf(source)
    const sample = module.default.PreviewProps ?? module.PreviewProps
    return {
      hasSubject: module.subject !== undefined,
      needs: [],
      component: source.main?.name ?? '',
      ...(sample === undefined ? {} : { sample: parseJson(JSON.stringify(sample)) as JsonObject }),
    }
  },
  compile,
  open: async (compiled, helpers, folder) => {
    const { name = '', code = '' } = parseJson(compiled.program ?? '{}') as { name?: string; code?: string }
    return new ReactTemplate(compiled, await evaluate(code, name, folder), helpers)
  },
  check,
}

/** A component may import any file of the folder, so each change counts. */
function versionOf({ parts }: VariantSource): string {
  return parts.componentsVersion ?? ''
}

async function programOf(source: VariantSource): Promise<Program> {
  const { main } = source
  if (main === undefined) throw new TypeError('A React template has a main source')
  const code = await bundle(main, versionOf(source))
  return evaluate(code, main.name, (main.path ?? main.name).slice(0, -main.name.length))
}

async function compile(source: VariantSource): Promise<CompiledTemplate> {
  const { main, ...others } = source
  if (main === undefined) throw new TypeError('A React template has a main source')
  const code = await bundle(main, versionOf(source))
  const { trees } = parseTemplate(others)
  return {
    language: 'react',
    program: JSON.stringify({ name: main.name, code }),
    trees,
    findings: [],
    warnings: [],
  }
}

async function check(
  source: VariantSource,
  helpers: Helpers,
  sample: SampleInput | undefined,
): Promise<CheckResult> {
  try {
    const template = new ReactTemplate(await compile(source), await programOf(source), helpers)
    if (sample !== undefined) {
      const { data, globals, locale } = sample
      await template.render(
        { data, variables: { app: globals, context: undefined, locale } },
        (_step, work) => work(),
      )
    }
    return { errors: [], warnings: [] }
  } catch (error) {
    if (!(error instanceof TemplateFailure)) throw error
    return { errors: [error.message], warnings: [] }
  }
}
