import type { RenderedParts } from '../../src/wire/tasks.js'
import type { Helpers } from './bind/helperCall.js'
import { joinPieces } from './bind/pieces.js'
import { NeedsBindingFirst } from './bind/run.js'
import { type BindInput, FirstTemplate } from './bindFirst.js'
import type { CompiledTemplate, LateForm } from './late/form.js'
import { LateTemplate, type PartRow } from './late/lateTemplate.js'
import type { Critical } from './renderer.js'
import { walk } from './template/trees.js'
import { loadHtmlText } from './text/htmlText.js'

/** Rendered parts, with the HTML also as its row of pieces where it was bound late. */
export interface BoundParts extends RenderedParts {
  readonly htmlRow?: PartRow
}

/** Most messages leave without their HTML ever having been one string. */
class LateBound implements BoundParts {
  constructor(
    readonly subject: string,
    readonly preheader: string,
    readonly text: string,
    readonly htmlRow: PartRow,
  ) {}

  get html(): string {
    return joinPieces(this.htmlRow.row, this.htmlRow.constants)
  }
}

/** A compiled template, ready to bind: late where it can, first where it must. */
export class Template {
  readonly #late: LateTemplate | undefined
  #first: FirstTemplate | undefined

  private constructor(
    readonly compiled: CompiledTemplate,
    private readonly helpers: Helpers,
    late: LateTemplate | undefined,
  ) {
    this.#late = late
  }

  static async of(compiled: CompiledTemplate, helpers: Helpers): Promise<Template> {
    const { late, trees } = compiled
    if (late === undefined) return new Template(compiled, helpers, undefined)
    const toText = trees.text === undefined && convertsWhenBound(late) ? await loadHtmlText() : undefined
    return new Template(compiled, helpers, new LateTemplate(late, trees, helpers, toText))
  }

  /** At once where it binds late. @throws TemplateFailure */
  render(input: BindInput, critical: Critical): BoundParts | Promise<BoundParts> {
    const late = this.#late
    if (late !== undefined) {
      const parts = critical('render', () => this.#tryLate(late, input))
      if (parts !== undefined) return parts
    }
    this.#first ??= new FirstTemplate(this.compiled.trees, this.helpers)
    return this.#first.render(input, critical)
  }

  #tryLate(late: LateTemplate, { data, variables }: BindInput): BoundParts | undefined {
    try {
      const { subject, preheader, text, html } = late.bind(data, variables)
      return new LateBound(subject, preheader, text, html)
    } catch (error) {
      if (error instanceof NeedsBindingFirst) return undefined
      throw error
    }
  }
}

/** Whether the text part may hold HTML that only the data brings. */
function convertsWhenBound({ text }: LateForm): boolean {
  if (text === undefined) return true
  for (const node of walk(text))
    if (node.kind === 'value' && (node.raw || node.expression.kind === 'call')) return true
  return false
}
