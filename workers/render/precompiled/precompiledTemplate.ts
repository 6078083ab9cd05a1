import type { JsonObject } from '../../../src/protocol/tasks.js'
import { Binder, type OutputEncoder } from '../bind/binder.js'
import { joinPieces, NeedsPerMessageRendering, type Piece, BindingRun } from '../bind/bindingRun.js'
import type { Helpers } from '../bind/helperCall.js'
import type { Variables } from '../bind/scope.js'
import { rejectMjml, rejectScheme, stringifyValue } from '../bind/values.js'
import { PLAIN_TEXT, throwIfMissing } from '../perMessageTemplate.js'
import type { TemplateTrees } from '../template/parseTemplate.js'
import { toOneLine } from '../template/subjectAndPreheader.js'
import type { HtmlToText } from '../text/htmlToText.js'
import { layOutText, layOutPieces } from '../text/layout.js'
import { type LayoutStep, parseLayout, stripLayoutMarks } from '../text/layoutMarks.js'
import type { PrecompiledForm } from './compiledTemplate.js'
import { checkedAttribute, checkedEscape, checkedRaw } from './valueChecks.js'

const CLOSES = /<!\[endif\]-->\s*$/
const OPENS = /^\s*<!--\[if mso \| IE\]>/

/**
 * MJML merges adjacent conditional comments for Outlook. Which constants are adjacent is known only when the data is
 * bound, so the merge happens then: each constant that can be next to another is also kept without its end, without its
 * start, and without both.
 */
class OutlookCommentMerger {
  readonly #needed: boolean
  /** By index of a constant: whether it ends or starts with a conditional comment, or is blank. */
  readonly #closes: boolean[]
  readonly #opens: boolean[]
  readonly #blank: boolean[]
  /** By index of a constant: the index of the constant without its end or start. */
  readonly #withoutEnd: number[] = []
  readonly #withoutStart: number[] = []

  /** Adds the shortened constants to the list. */
  constructor(constants: string[]) {
    const originals = [...constants]
    this.#closes = originals.map((text) => CLOSES.test(text))
    this.#opens = originals.map((text) => OPENS.test(text))
    this.#blank = originals.map((text) => text.trim() === '')
    this.#needed = this.#closes.includes(true) && this.#opens.includes(true)
    if (!this.#needed) return
    for (const [index, text] of originals.entries()) {
      if (this.#opens[index]) {
        const short = constants.push(text.replace(OPENS, '')) - 1
        this.#withoutStart[index] = short
        this.#closes[short] = this.#closes[index] ?? false
        if (this.#closes[index])
          this.#withoutEnd[short] = constants.push(text.replace(OPENS, '').replace(CLOSES, '')) - 1
      }
      if (this.#closes[index]) this.#withoutEnd[index] = constants.push(text.replace(CLOSES, '')) - 1
    }
  }

  /** Merges adjacent comments in place. */
  merge(row: Piece[]): Piece[] {
    if (!this.#needed) return row
    /** The last piece that ends a conditional comment with nothing but white space after it. */
    let closed = -1
    for (let at = 0; at < row.length; at++) {
      const piece = row[at]!
      if (typeof piece === 'string') {
        if (piece.trim() !== '') closed = -1
        continue
      }
      if (closed >= 0 && this.#opens[piece]) {
        row[closed] = this.#withoutEnd[row[closed] as number]!
        for (let between = closed + 1; between < at; between++) row[between] = ''
        row[at] = this.#withoutStart[piece]!
      }
      const current = row[at] as number
      if (this.#closes[current]) closed = at
      else if (!this.#blank[current]) closed = -1
    }
    return row
  }
}

/** A part as a row of pieces. Numbers are indexes into its constants, which are the same for every message. */
export interface PieceRow {
  constants: readonly string[]
  row: readonly Piece[]
}

/** The parts of one message. */
export interface PrecompiledParts {
  subject: string
  preheader: string
  html: PieceRow
  text: string
}

/** A template that MJML compiled to HTML once. Each message only binds its data. */
export class PrecompiledTemplate {
  readonly #html: Binder
  readonly #outlook: OutlookCommentMerger
  readonly #unseen: Binder | undefined
  readonly #subject: Binder | undefined
  readonly #preheader: Binder | undefined
  readonly #text: Binder | undefined
  /** By constant of the derived text: its layout steps. */
  readonly #steps: readonly (readonly LayoutStep[])[] | undefined

  constructor(form: PrecompiledForm, trees: TemplateTrees, helpers: Helpers, toText: HtmlToText | undefined) {
    const { urlSchemes } = helpers
    const { readsDocument } = form
    const checkContext = { suspect: new RegExp(form.suspect, 'i'), readsDocument, urlSchemes }
    const encoder: OutputEncoder = {
      escape: checkedEscape(checkContext),
      raw: checkedRaw(checkContext),
      block: (html, node) => {
        if (checkContext.readsDocument)
          throw new NeedsPerMessageRendering('inline styles apply to the output of a helper')
        if (checkContext.suspect.test(html) || html.includes('<!'))
          throw new NeedsPerMessageRendering('the output of a helper contains a font or a comment')
        return rejectMjml(html, node.at)
      },
      attribute: (value, node, authored) => {
        if (node.checks.url) rejectScheme(value, node, urlSchemes, authored)
        return checkedAttribute(value, node)
      },
    }
    const partials = new Map(Object.entries(trees.partials))
    this.#html = new Binder(form.html, helpers, encoder, partials)
    this.#unseen = form.unseen.length === 0 ? undefined : new Binder(form.unseen, helpers, encoder, partials)
    this.#outlook = new OutlookCommentMerger(this.#html.constants)
    const plain = (nodes: TemplateTrees['text']) =>
      nodes === undefined ? undefined : new Binder(nodes, helpers, PLAIN_TEXT, partials)
    this.#subject = plain(trees.subject)
    this.#preheader = plain(trees.preheader)
    if (trees.text !== undefined) this.#text = plain(trees.text)
    else if (form.text !== undefined)
      this.#text = new Binder(form.text, helpers, textEncoder(toText), partials)
    else this.#text = undefined
    this.#steps = trees.text === undefined ? this.#text?.constants.map(parseLayout) : undefined
    this.#toText = toText
  }

  readonly #toText: HtmlToText | undefined

  /** @throws NeedsPerMessageRendering if MJML has to run for this data; TemplateFailure */
  bind(data: JsonObject, variables: Variables): PrecompiledParts {
    const run = new BindingRun()
    const row = this.#outlook.merge(this.#html.bind(data, variables, run) as Piece[])
    this.#unseen?.bind(data, variables, run)
    const line = (binder: Binder | undefined): string =>
      binder === undefined ? '' : toOneLine(binder.text(binder.bind(data, variables, run)))
    const subject = line(this.#subject)
    const preheader = line(this.#preheader)
    const html = { constants: this.#html.constants, row }
    const text = this.#boundText(data, variables, run, html)
    throwIfMissing(run)
    return { subject, preheader, html, text }
  }

  #boundText(data: JsonObject, variables: Variables, run: BindingRun, html: PieceRow): string {
    if (this.#text !== undefined) {
      const row = this.#text.bind(data, variables, run)
      return this.#steps === undefined ? this.#text.text(row) : layOutPieces(row, this.#steps)
    }
    if (run.missing.size > 0) return ''
    return layOutText(this.#toText?.(joinPieces(html.row, html.constants)) ?? '')
  }
}

/** Encodes values for the text part: converts raw values from HTML. The layout collapses white space. */
function textEncoder(toText: HtmlToText | undefined): OutputEncoder {
  return {
    escape: stripLayoutMarks,
    raw: (html) =>
      /[<&]/.test(html) && toText !== undefined
        ? toText(stripLayoutMarks(html))
        : stripLayoutMarks(stringifyValue(html)),
    block: (text) => text,
    attribute: (value) => value,
  }
}
