import type { JsonObject } from '../../src/protocol/tasks.js'
import { annotate } from './analysis/annotate.js'
import { checkTags, type Problem, type WrittenAttribute } from './analysis/tagCheck.js'
import type { Helpers } from './bind/helperCall.js'
import type { TemplateLanguage } from './languages/language.js'
import { loadMjmlValidation, type MjmlResult } from './mjml.js'
import { type BoundSource, PerMessageTemplate } from './perMessageTemplate.js'
import {
  MJML_ELEMENTS,
  parseTemplate,
  type TemplateTrees,
  type VariantSource,
  walk,
} from './template/parseTemplate.js'
import { describePlace, placeAt, TemplateFailure } from './template/sourceFile.js'
import type { TemplateNode } from './template/tree.js'

/** The sample data of a template, and what its expressions read besides. */
export interface SampleInput {
  data: JsonObject
  globals: JsonObject
  locale: string
}

/** The result of checking one variant: sentences, each beginning with `file:line:column` where there is a place. */
export interface CheckResult {
  errors: string[]
  warnings: string[]
}

/**
 * Finds every error of a template: expressions, closing tags, components and attributes that MJML doesn't know, and the problems that
 * MJML's own validation finds once the sample data is bound.
 */
export const checkTemplate: TemplateLanguage['check'] = async (source, helpers, sample) => {
  const failures: TemplateFailure[] = []
  const result: CheckResult = { errors: [], warnings: [] }
  const parsed = collect(failures, () => parseTemplate(source, MJML_ELEMENTS, failures))
  if (parsed !== undefined) {
    const { problems, attributes, components } = checkTags(parsed.trees.mjml, parsed.files)
    if (failures.length === 0 && problems.length === 0)
      problems.push(...incomplete(source, parsed.trees, components))
    problems.push(...(await unknownAttributes(attributes)))
    result.errors.push(...problems.sort(byPlace).map(describe))
    if (failures.length === 0 && problems.length === 0 && sample !== undefined && source.main !== undefined)
      collect(failures, () => annotate(parsed.trees.mjml, parsed.files))
    if (failures.length === 0 && problems.length === 0 && sample !== undefined)
      await validateSample(parsed.trees, attributes, helpers, sample, result)
  }
  return withFailures(result, failures)
}

/** Adds each failure once, before the other errors. */
export function withFailures(
  { errors, warnings }: CheckResult,
  failures: readonly TemplateFailure[],
): CheckResult {
  return { errors: [...new Set(failures.map(({ message }) => message)), ...errors], warnings }
}

/** Runs a step of a check. @returns undefined if it failed: the failure is added to the others */
export function collect<T>(failures: TemplateFailure[], work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof TemplateFailure)) throw error
    failures.push(error)
    return undefined
  }
}

/** Returns the problem of a file that is no whole template: empty, a part of other templates, or without a body. */
function incomplete(
  source: VariantSource,
  { mjml }: TemplateTrees,
  components: ReadonlySet<string>,
): Problem[] {
  const file = source.main ?? source.text
  if (file === undefined) return []
  const problem = (message: string) => [{ at: placeAt(file, 1, 1), message }]
  if (file.text.trim() === '') return problem('the file is empty. Delete it, or write a template into it')
  if (source.main === undefined || usesComputedPartial(mjml)) return []
  if (!components.has('mjml'))
    return problem(
      'this is no template, because it has no <mjml> element. Move a part of other templates to the folder partials/',
    )
  return components.has('mj-body')
    ? []
    : problem(
        'the template has no <mj-body>, so it has no content. Move a part of other templates to the folder partials/',
      )
}

/** Whether the data decides which components the template has. */
function usesComputedPartial(nodes: readonly TemplateNode[]): boolean {
  for (const node of walk(nodes)) if (node.kind === 'partial') return true
  return false
}

/**
 * The attributes that MJML's validation refuses. It sees each component once, with all attributes that the template gives it in any
 * branch; the places of components among each other are checked with the sample.
 */
async function unknownAttributes(attributes: readonly WrittenAttribute[]): Promise<Problem[]> {
  const written = new Map<string, Set<string>>()
  for (const { tag, attribute } of attributes) {
    // These hold settings for other components, or MJML doesn't validate them.
    if (tag === 'mjml' || tag === 'mj-class' || tag === 'mj-all') continue
    written.set(tag, (written.get(tag) ?? new Set()).add(attribute))
  }
  if (written.size === 0) return []
  const elements = [...written].map(
    ([tag, names]) => `<${tag} ${[...names].map((name) => `${name}=""`).join(' ')}></${tag}>`,
  )
  const validate = await loadMjmlValidation()
  const found = await validate(`<mjml><mj-body>${elements.join('')}</mj-body></mjml>`)
  const unknown = new Set(
    found.flatMap(({ tag, message }) => illegalNames(message).map((name) => `${tag} ${name}`)),
  )
  return attributes
    .filter(({ tag, attribute }) => unknown.has(`${tag} ${attribute}`))
    .map(({ tag, attribute, at }) => ({ at, message: `<${tag}> has no attribute "${attribute}"` }))
}

/** The names in MJML's message "Attributes a, b are illegal". */
function illegalNames(message: string): string[] {
  const names = /^Attributes? (.+) (?:is|are) illegal$/.exec(message)?.[1]
  return names?.split(/,\s*/) ?? []
}

async function validateSample(
  trees: TemplateTrees,
  attributes: readonly WrittenAttribute[],
  helpers: Helpers,
  sample: SampleInput,
  result: CheckResult,
): Promise<void> {
  const bound = bindSample(new PerMessageTemplate(trees, helpers), sample, result)
  if (bound === undefined || trees.mjml.length === 0) return
  const validate = await loadMjmlValidation()
  for (const problem of await validate(bound.source)) result.errors.push(locate(problem, attributes))
}

/** Binds the sample data. @returns undefined if that fails: the result then has the reason */
export function bindSample(
  template: PerMessageTemplate,
  { data, globals, locale }: SampleInput,
  result: CheckResult,
): BoundSource | undefined {
  try {
    return template.bind({ data, variables: { app: globals, context: undefined, locale } })
  } catch (error) {
    if (!(error instanceof TemplateFailure)) throw error
    if (error.code === 'MISSING_DATA') result.warnings.push(`the sample data is incomplete: ${error.message}`)
    else result.errors.push(error.message)
    return undefined
  }
}

/** Adds the places at which the component has the attribute that MJML complains about. Its own line is one of the bound source. */
function locate(
  { tag, message }: MjmlResult['warnings'][number],
  attributes: readonly WrittenAttribute[],
): string {
  const name = /^Attribute (\S+) has /.exec(message)?.[1]
  const places = attributes
    .filter((written) => written.tag === tag && written.attribute === name)
    .map(({ at }) => describePlace(at))
  const text = `<${tag}>: ${message.trim()}, with the sample data`
  if (places.length === 0) return text
  return `${places[0] ?? ''}: ${text}${places.length === 1 ? '' : ` (or at ${places.slice(1, 6).join(', ')})`}`
}

function describe({ at, message }: Problem): string {
  return `${describePlace(at)}: ${message}`
}

function byPlace(a: Problem, b: Problem): number {
  return a.at.file < b.at.file
    ? -1
    : a.at.file > b.at.file
      ? 1
      : a.at.line - b.at.line || a.at.column - b.at.column
}
