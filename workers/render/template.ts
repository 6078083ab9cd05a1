import type { RenderedParts } from '../../src/protocol/tasks.js'
import { joinPieces, NeedsPerMessageRendering } from './bind/bindingRun.js'
import type { Helpers } from './bind/helperCall.js'
import { type BindInput, PerMessageTemplate } from './perMessageTemplate.js'
import type { CompiledTemplate, PrecompiledForm } from './precompiled/compiledTemplate.js'
import { type PieceRow, PrecompiledTemplate } from './precompiled/precompiledTemplate.js'
import type { CriticalSection } from './renderer.js'
import { walk } from './template/parseTemplate.js'
import { loadHtmlToText } from './text/htmlToText.js'

/** Rendered parts, with the HTML also as its row of pieces where it was bound late. */
export interface BoundParts extends RenderedParts {
  readonly htmlRow?: PieceRow
}

/** Most messages leave without their HTML ever having been one string. */
class LateBound implements BoundParts {
  constructor(
    readonly subject: string,
    readonly preheader: string,
    readonly text: string,
    readonly htmlRow: PieceRow,
  ) {}

  get html(): string {
    return joinPieces(this.htmlRow.row, this.htmlRow.constants)
  }
}

/** A compiled template, ready to bind: late where it can, first where it must. */
export class Template {
  readonly #late: PrecompiledTemplate | undefined
  #first: PerMessageTemplate | undefined

  private constructor(
    readonly compiled: CompiledTemplate,
    private readonly helpers: Helpers,
    late: PrecompiledTemplate | undefined,
  ) {
    this.#late = late
  }

  static async of(compiled: CompiledTemplate, helpers: Helpers): Promise<Template> {
    const { late, trees } = compiled
    if (late === undefined) return new Template(compiled, helpers, undefined)
    const toText = trees.text === undefined && convertsWhenBound(late) ? await loadHtmlToText() : undefined
    return new Template(compiled, helpers, new PrecompiledTemplate(late, trees, helpers, toText))
  }

  /** At once where it binds late. @throws TemplateFailure */
  render(input: BindInput, critical: CriticalSection): BoundParts | Promise<BoundParts> {
    const late = this.#late
    if (late !== undefined) {
      const parts = critical('render', () => this.#tryLate(late, input))
      if (parts !== undefined) return parts
    }
    this.#first ??= new PerMessageTemplate(this.compiled.trees, this.helpers)
    return this.#first.render(input, critical)
  }

  #tryLate(late: PrecompiledTemplate, { data, variables }: BindInput): BoundParts | undefined {
    try {
      const { subject, preheader, text, html } = late.bind(data, variables)
      return new LateBound(subject, preheader, text, html)
    } catch (error) {
      if (error instanceof NeedsPerMessageRendering) return undefined
      throw error
    }
  }
}

/** Whether the text part may hold HTML that only the data brings. */
function convertsWhenBound({ text }: PrecompiledForm): boolean {
  if (text === undefined) return true
  for (const node of walk(text))
    if (node.kind === 'value' && (node.raw || node.expression.kind === 'call')) return true
  return false
}
