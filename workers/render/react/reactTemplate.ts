import type { JsonObject, RenderedParts } from '../../../src/protocol/tasks.js'
import { Binder } from '../bind/binder.js'
import { BindingRun } from '../bind/bindingRun.js'
import type { Helpers } from '../bind/helperCall.js'
import { forbiddenScheme } from '../bind/values.js'
import type { RenderableTemplate } from '../languages/language.js'
import { type BindInput, PLAIN_TEXT, throwIfMissing } from '../perMessageTemplate.js'
import type { CompiledTemplate } from '../precompiled/compiledTemplate.js'
import type { CriticalSection } from '../renderer.js'
import { TemplateFailure } from '../template/sourceFile.js'
import { decodeEntities, toOneLine } from '../template/subjectAndPreheader.js'
import { loadHtmlToText } from '../text/htmlToText.js'
import { layOutText } from '../text/layout.js'
import type { ComponentModule, Program } from './program.js'

/** The hidden text that the component Preview of React Email writes. */
const PREVIEW = /<div\b[^>]*\bdata-skip-in-text="true"[^>]*>([^<]*)/
const URL_ATTRIBUTE = /\s(?:href|src|action|background|xlink:href)="([^"]*)"/gi

/** A React component, rendered for each message as `render()` of React Email does. */
export class ReactTemplate implements RenderableTemplate {
  readonly #text: Binder | undefined

  constructor(
    readonly compiled: CompiledTemplate,
    private readonly program: Program,
    private readonly helpers: Helpers,
  ) {
    const { text, partials } = compiled.trees
    if (text !== undefined)
      this.#text = new Binder(text, helpers, PLAIN_TEXT, new Map(Object.entries(partials)))
  }

  async render(input: BindInput, critical: CriticalSection): Promise<RenderedParts> {
    const { module, react, render, failure } = this.program
    const toText = await loadHtmlToText()
    const props: JsonObject = { locale: String(input.variables['locale']), ...input.data }
    try {
      // React renders in several turns of the event loop. See `CrashAttribution` for the blame.
      const html = await critical('render', () => render(react.createElement(module.default, props)))
      return critical('render', () => {
        rejectSchemes(html, this.helpers.urlSchemes)
        const text = this.#ownText(module, input, props)
        return {
          subject: toOneLine(textOf(module, 'subject', props) ?? ''),
          preheader: toOneLine(
            textOf(module, 'preheader', props) ?? decodeEntities(PREVIEW.exec(html)?.[1] ?? ''),
          ),
          html,
          text: text ?? layOutText(toText(html)),
        }
      })
    } catch (error) {
      throw failure(error)
    }
  }

  #ownText(module: ComponentModule, { data, variables }: BindInput, props: JsonObject): string | undefined {
    if (this.#text === undefined) return textOf(module, 'plainText', props)
    const run = new BindingRun()
    const text = this.#text.text(this.#text.bind(data, variables, run))
    throwIfMissing(run)
    return text
  }
}

function textOf(
  module: ComponentModule,
  name: 'subject' | 'preheader' | 'plainText',
  props: JsonObject,
): string | undefined {
  const value = module[name]
  if (value === undefined) return undefined
  const text = typeof value === 'function' ? value(props) : value
  if (typeof text === 'string') return text
  throw new TemplateFailure(
    'TEMPLATE_ERROR',
    `the export ${name} must be a text, or a function that returns one`,
  )
}

/** React 19 replaces such a URL; React 18 writes it. */
function rejectSchemes(html: string, allowed: readonly string[]): void {
  for (const [, url = ''] of html.matchAll(URL_ATTRIBUTE)) {
    const scheme = forbiddenScheme(url, allowed)
    if (scheme !== undefined)
      throw new TemplateFailure(
        'TEMPLATE_ERROR',
        `a URL has the scheme '${scheme.slice(0, 20)}:', but only those of templates.urlSchemes are allowed`,
      )
  }
}
