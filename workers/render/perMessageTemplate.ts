import type { JsonObject, RenderedParts } from '../../src/protocol/tasks.js'
import { Binder, type OutputEncoder } from './bind/binder.js'
import { BindingRun } from './bind/bindingRun.js'
import type { Helpers } from './bind/helperCall.js'
import type { Variables } from './bind/scope.js'
import { escapeHtml, rejectMjml, rejectScriptUrl } from './bind/values.js'
import { contentHash, LruCache } from './lruCache.js'
import { loadMjml, type MjmlResult } from './mjml.js'
import type { CriticalSection } from './renderer.js'
import type { TemplateTrees } from './template/parseTemplate.js'
import { TemplateFailure } from './template/sourceFile.js'
import { toOneLine } from './template/subjectAndPreheader.js'
import { loadHtmlToText } from './text/htmlToText.js'
import { layOutText, stripLayoutMarks } from './text/layout.js'

/** What a template is bound with. */
export interface BindInput {
  data: JsonObject
  variables: Variables
}

const INTO_HTML: OutputEncoder = {
  escape: (text, node) => escapeHtml(node.loose ? rejectScriptUrl(text, node) : text),
  raw: (html, node) => rejectMjml(node.loose ? rejectScriptUrl(html, node) : html, node.at),
  block: (html) => html,
  attribute: (value, node) => (node.checks.url ? rejectScriptUrl(value, node) : value),
}

/** What MJML, and the inliner of styles behind it, search for with expressions that begin anew at each of them. */
const SEARCHED = /font-family:|\{\{/gi
/** Their number times the length of the source, beyond which that search would block the thread for long. */
const MAX_SEARCH = 20_000_000

/** As `INTO_HTML`, with references in place of what MJML searches for. In a style sheet there are none. */
const INTO_HTML_UNSEARCHED: OutputEncoder = {
  ...INTO_HTML,
  escape: (text, node) => withReferences(INTO_HTML.escape(text, node)),
  raw: (html, node) => {
    const refused = INTO_HTML.raw(html, node)
    return /<style/i.test(refused) ? refused : withReferences(refused)
  },
}

function withReferences(html: string): string {
  return html.replace(SEARCHED, (found) => (found === '{{' ? '&#123;&#123;' : `${found.slice(0, -1)}&#58;`))
}

/** Headers and text parts hold what the data says, unescaped. */
export const PLAIN_TEXT: OutputEncoder = {
  escape: stripLayoutMarks,
  raw: (html) => html,
  block: (text) => text,
  attribute: (value) => value,
}

/** Some 30 KB each. */
const MAX_MADE = 20

/** A template that binds the data into its source and runs MJML for each message. Always right, never fast. */
export class PerMessageTemplate {
  readonly #mjml: Binder
  readonly #unsearched: () => Binder
  readonly #subject: Binder | undefined
  readonly #preheader: Binder | undefined
  readonly #text: Binder | undefined
  /** Messages that say the same share one run of MJML. */
  readonly #made = new LruCache<Promise<MjmlResult>>(MAX_MADE)

  constructor(trees: TemplateTrees, helpers: Helpers) {
    const partials = new Map(Object.entries(trees.partials))
    const plain = (nodes: TemplateTrees['text']) =>
      nodes === undefined ? undefined : new Binder(nodes, helpers, PLAIN_TEXT, partials)
    this.#mjml = new Binder(trees.mjml, helpers, INTO_HTML, partials)
    this.#unsearched = () => new Binder(trees.mjml, helpers, INTO_HTML_UNSEARCHED, partials)
    this.#subject = plain(trees.subject)
    this.#preheader = plain(trees.preheader)
    this.#text = plain(trees.text)
  }

  /** @throws TemplateFailure */
  async render(input: BindInput, critical: CriticalSection): Promise<RenderedParts> {
    const mjml = await loadMjml()
    const toText = this.#text === undefined ? await loadHtmlToText() : undefined
    const { bound, key, working } = critical('render', () => {
      const bound = this.bind(input)
      const key = contentHash(bound.source)
      return { bound, key, working: this.#made.get(key) ?? mjml(bound.source) }
    })
    this.#made.set(key, working)
    const { html } = await working.catch((error: unknown) => {
      throw new TemplateFailure('TEMPLATE_ERROR', `MJML can't make HTML of this: ${(error as Error).message}`)
    })
    const text = bound.text ?? critical('render', () => layOutText(toText?.(html) ?? ''))
    return { subject: bound.subject, preheader: bound.preheader, html, text }
  }

  /** The source with the data in it, before MJML. @throws TemplateFailure */
  bind(input: BindInput): { source: string; subject: string; preheader: string; text: string | undefined } {
    const run = new BindingRun()
    const row = this.#mjml.bind(input.data, input.variables, run)
    const line = (binder: Binder | undefined) =>
      binder === undefined ? '' : toOneLine(binder.text(binder.bind(input.data, input.variables, run)))
    const subject = line(this.#subject)
    const preheader = line(this.#preheader)
    const text = this.#text?.text(this.#text.bind(input.data, input.variables, run))
    throwIfMissing(run)
    return { source: this.#boundedSearch(this.#mjml.text(row), input), subject, preheader, text }
  }

  /** The source, bound again if MJML would search it for long. */
  #boundedSearch(source: string, { data, variables }: BindInput): string {
    const most = MAX_SEARCH / source.length
    const search = source.matchAll(SEARCHED)
    let found = 0
    while (found <= most && search.next().done !== true) found++
    if (found <= most) return source
    const binder = this.#unsearched()
    return binder.text(binder.bind(data, variables, new BindingRun()))
  }
}

/** @throws TemplateFailure `MISSING_DATA` if the run met paths that lead nowhere. */
export function throwIfMissing(run: BindingRun): void {
  if (run.missing.size === 0) return
  const missing = [...run.missing]
  const shown = missing.slice(0, 20).join(', ')
  throw new TemplateFailure('MISSING_DATA', `The template needs data that is missing: ${shown}`, { missing })
}
