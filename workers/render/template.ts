import type { RenderedParts } from '../../src/protocol/tasks.js'
import { joinPieces, NeedsPerMessageRendering } from './bind/bindingRun.js'
import type { Helpers } from './bind/helperCall.js'
import type { RenderableTemplate } from './languages/language.js'
import { loadMjml, type Mjml } from './mjml.js'
import { type BindInput, PerMessageTemplate } from './perMessageTemplate.js'
import type { CompiledTemplate, PrecompiledForm } from './precompiled/compiledTemplate.js'
import { type PieceRow, PrecompiledTemplate } from './precompiled/precompiledTemplate.js'
import type { CriticalSection } from './renderer.js'
import { walk } from './template/parseTemplate.js'
import { loadHtmlToText } from './text/htmlToText.js'

/** Rendered parts. A precompiled template also returns its HTML as pieces. */
export interface BoundParts extends RenderedParts {
  readonly htmlRow?: PieceRow
}

/** Joins the HTML only if it is read. Most messages are composed from the pieces. */
class PiecedParts implements BoundParts {
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

/** A compiled template, ready to render. It uses the precompiled form, or runs MJML for a message that needs it. */
export class Template implements RenderableTemplate {
  readonly #precompiled: PrecompiledTemplate | undefined
  #perMessage: PerMessageTemplate | undefined

  private constructor(
    readonly compiled: CompiledTemplate,
    private readonly helpers: Helpers,
    precompiled: PrecompiledTemplate | undefined,
    private readonly load: () => Promise<Mjml>,
  ) {
    this.#precompiled = precompiled
  }

  /** @param load loads the conversion of the language's source to HTML, for messages that need it */
  static async of(
    compiled: CompiledTemplate,
    helpers: Helpers,
    load: () => Promise<Mjml> = loadMjml,
  ): Promise<Template> {
    const { late: form, trees } = compiled
    if (form === undefined) return new Template(compiled, helpers, undefined, load)
    const toText = trees.text === undefined && convertsWhenBound(form) ? await loadHtmlToText() : undefined
    return new Template(compiled, helpers, new PrecompiledTemplate(form, trees, helpers, toText), load)
  }

  /** Synchronous if the precompiled form is used. @throws TemplateFailure */
  render(input: BindInput, critical: CriticalSection): BoundParts | Promise<BoundParts> {
    const precompiled = this.#precompiled
    if (precompiled !== undefined) {
      const parts = critical('render', () => this.#renderPrecompiled(precompiled, input))
      if (parts !== undefined) return parts
    }
    this.#perMessage ??= new PerMessageTemplate(this.compiled.trees, this.helpers, this.load)
    return this.#perMessage.render(input, critical)
  }

  #renderPrecompiled(
    precompiled: PrecompiledTemplate,
    { data, variables }: BindInput,
  ): BoundParts | undefined {
    try {
      const { subject, preheader, text, html } = precompiled.bind(data, variables)
      if (html.row.length === 0) return { subject, preheader, text, html: '' }
      return new PiecedParts(subject, preheader, text, html)
    } catch (error) {
      if (error instanceof NeedsPerMessageRendering) return undefined
      throw error
    }
  }
}

/** Whether the text part may contain HTML from the data, which must be converted for each message. */
function convertsWhenBound({ text }: PrecompiledForm): boolean {
  if (text === undefined) return true
  for (const node of walk(text))
    if (node.kind === 'value' && (node.raw || node.expression.kind === 'call')) return true
  return false
}
