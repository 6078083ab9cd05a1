import type { JsonObject } from '../../../src/protocol/tasks.js'
import { Binder, type Policy } from '../bind/binder.js'
import type { Helpers } from '../bind/helperCall.js'
import { type Piece, joinPieces } from '../bind/pieces.js'
import { refuseMjml } from '../bind/refusals.js'
import { NeedsBindingFirst, Run } from '../bind/run.js'
import type { Variables } from '../bind/scope.js'
import { textOf } from '../bind/values.js'
import { AS_IT_IS, refuseMissing } from '../perMessageTemplate.js'
import type { TemplateTrees } from '../template/parseTemplate.js'
import { toOneLine } from '../template/project.js'
import type { HtmlText } from '../text/htmlText.js'
import { layOut, layOutRow, type Step, stepsOf, withoutMarks } from '../text/layout.js'
import type { PrecompiledForm } from './form.js'
import { guardedAttribute, guardedEscape, guardedRaw } from './guards.js'
import { OutlookMerge } from './outlook.js'

/** A part as a row of pieces: numbers are indexes into its constants, which are the same for every message. */
export interface PartRow {
  constants: readonly string[]
  row: readonly Piece[]
}

export interface PrecompiledParts {
  subject: string
  preheader: string
  html: PartRow
  text: string
}

/** A template that was compiled to HTML before any data came. */
export class PrecompiledTemplate {
  readonly #html: Binder
  readonly #outlook: OutlookMerge
  readonly #unseen: Binder | undefined
  readonly #subject: Binder | undefined
  readonly #preheader: Binder | undefined
  readonly #text: Binder | undefined
  /** By constant of the derived text: what it does to the page. */
  readonly #steps: readonly (readonly Step[])[] | undefined

  constructor(form: PrecompiledForm, trees: TemplateTrees, helpers: Helpers, toText: HtmlText | undefined) {
    const guards = { suspect: new RegExp(form.suspect, 'i'), readsDocument: form.readsDocument }
    const policy: Policy = {
      escape: guardedEscape(guards),
      raw: guardedRaw(guards),
      block: (html, node) => {
        if (guards.readsDocument) throw new NeedsBindingFirst('inline styles apply to what a helper makes')
        if (guards.suspect.test(html) || html.includes('<!'))
          throw new NeedsBindingFirst('a helper made a font or a comment')
        return refuseMjml(html, node.at)
      },
      attribute: guardedAttribute,
    }
    const partials = new Map(Object.entries(trees.partials))
    this.#html = new Binder(form.html, helpers, policy, partials)
    this.#unseen = form.unseen.length === 0 ? undefined : new Binder(form.unseen, helpers, policy, partials)
    this.#outlook = new OutlookMerge(this.#html.constants)
    const plain = (nodes: TemplateTrees['text']) =>
      nodes === undefined ? undefined : new Binder(nodes, helpers, AS_IT_IS, partials)
    this.#subject = plain(trees.subject)
    this.#preheader = plain(trees.preheader)
    if (trees.text !== undefined) this.#text = plain(trees.text)
    else if (form.text !== undefined) this.#text = new Binder(form.text, helpers, intoText(toText), partials)
    else this.#text = undefined
    this.#steps = trees.text === undefined ? this.#text?.constants.map(stepsOf) : undefined
    this.#toText = toText
  }

  readonly #toText: HtmlText | undefined

  /** @throws NeedsBindingFirst where only MJML can tell what this data makes; TemplateFailure as ever. */
  bind(data: JsonObject, variables: Variables): PrecompiledParts {
    const run = new Run()
    const row = this.#outlook.merge(this.#html.bind(data, variables, run) as Piece[])
    this.#unseen?.bind(data, variables, run)
    const line = (binder: Binder | undefined): string =>
      binder === undefined ? '' : toOneLine(binder.text(binder.bind(data, variables, run)))
    const subject = line(this.#subject)
    const preheader = line(this.#preheader)
    const html = { constants: this.#html.constants, row }
    const text = this.#boundText(data, variables, run, html)
    refuseMissing(run)
    return { subject, preheader, html, text }
  }

  #boundText(data: JsonObject, variables: Variables, run: Run, html: PartRow): string {
    if (this.#text !== undefined) {
      const row = this.#text.bind(data, variables, run)
      return this.#steps === undefined ? this.#text.text(row) : layOutRow(row, this.#steps)
    }
    if (run.missing.size > 0) return ''
    return layOut(this.#toText?.(joinPieces(html.row, html.constants)) ?? '')
  }
}

const SPACES = /[\t\n\r\f\u200b]| {2}/
const RUN_OF_SPACES = /[ \t\n\r\f\u200b]+/g

/** HTML collapses the white space of a value, and raw values are HTML. */
function intoText(toText: HtmlText | undefined): Policy {
  const escape = (text: string): string => {
    const clean = withoutMarks(text)
    return SPACES.test(clean) ? clean.replace(RUN_OF_SPACES, ' ') : clean
  }
  return {
    escape,
    raw: (html) =>
      /[<&]/.test(html) && toText !== undefined ? toText(withoutMarks(html)) : escape(textOf(html)),
    block: (text) => text,
    attribute: (value) => value,
  }
}
