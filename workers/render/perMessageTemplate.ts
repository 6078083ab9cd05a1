import type { JsonObject, RenderedParts } from '../../src/protocol/tasks.js'
import { Binder, type Policy } from './bind/binder.js'
import type { Helpers } from './bind/helperCall.js'
import { refuseMjml, refuseScript } from './bind/refusals.js'
import { Run } from './bind/run.js'
import type { Variables } from './bind/scope.js'
import { escapeHtml } from './bind/values.js'
import { RecentlyUsed, contentHash } from './cache.js'
import { loadMjml, type MjmlResult } from './mjml.js'
import type { Critical } from './renderer.js'
import type { TemplateTrees } from './template/parseTemplate.js'
import { toOneLine } from './template/project.js'
import { TemplateFailure } from './template/source.js'
import { loadHtmlText } from './text/htmlText.js'
import { layOut, withoutMarks } from './text/layout.js'

/** What a template is bound with. */
export interface BindInput {
  data: JsonObject
  variables: Variables
}

const INTO_HTML: Policy = {
  escape: (text, node) => escapeHtml(node.loose ? refuseScript(text, node) : text),
  raw: (html, node) => refuseMjml(node.loose ? refuseScript(html, node) : html, node.at),
  block: (html) => html,
  attribute: (value, node) => (node.checks.url ? refuseScript(value, node) : value),
}

/** What MJML, and the inliner of styles behind it, search for with expressions that begin anew at each of them. */
const SEARCHED = /font-family:|\{\{/gi
/** Their number times the length of the source, beyond which that search would block the thread for long. */
const MAX_SEARCH = 20_000_000

/** As `INTO_HTML`, with references in place of what MJML searches for. In a style sheet there are none. */
const INTO_HTML_UNSEARCHED: Policy = {
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
export const AS_IT_IS: Policy = {
  escape: withoutMarks,
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
  readonly #made = new RecentlyUsed<Promise<MjmlResult>>(MAX_MADE)

  constructor(trees: TemplateTrees, helpers: Helpers) {
    const partials = new Map(Object.entries(trees.partials))
    const plain = (nodes: TemplateTrees['text']) =>
      nodes === undefined ? undefined : new Binder(nodes, helpers, AS_IT_IS, partials)
    this.#mjml = new Binder(trees.mjml, helpers, INTO_HTML, partials)
    this.#unsearched = () => new Binder(trees.mjml, helpers, INTO_HTML_UNSEARCHED, partials)
    this.#subject = plain(trees.subject)
    this.#preheader = plain(trees.preheader)
    this.#text = plain(trees.text)
  }

  /** @throws TemplateFailure */
  async render(input: BindInput, critical: Critical): Promise<RenderedParts> {
    const mjml = await loadMjml()
    const toText = this.#text === undefined ? await loadHtmlText() : undefined
    const { bound, key, working } = critical('render', () => {
      const bound = this.bind(input)
      const key = contentHash(bound.source)
      return { bound, key, working: this.#made.get(key) ?? mjml(bound.source) }
    })
    this.#made.set(key, working)
    const { html } = await working.catch((error: unknown) => {
      throw new TemplateFailure('TEMPLATE_ERROR', `MJML can't make HTML of this: ${(error as Error).message}`)
    })
    const text = bound.text ?? critical('render', () => layOut(toText?.(html) ?? ''))
    return { subject: bound.subject, preheader: bound.preheader, html, text }
  }

  /** The source with the data in it, before MJML. @throws TemplateFailure */
  bind(input: BindInput): { source: string; subject: string; preheader: string; text: string | undefined } {
    const run = new Run()
    const row = this.#mjml.bind(input.data, input.variables, run)
    const line = (binder: Binder | undefined) =>
      binder === undefined ? '' : toOneLine(binder.text(binder.bind(input.data, input.variables, run)))
    const subject = line(this.#subject)
    const preheader = line(this.#preheader)
    const text = this.#text?.text(this.#text.bind(input.data, input.variables, run))
    refuseMissing(run)
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
    return binder.text(binder.bind(data, variables, new Run()))
  }
}

/** @throws TemplateFailure `MISSING_DATA` if the run met paths that lead nowhere. */
export function refuseMissing(run: Run): void {
  if (run.missing.size === 0) return
  const missing = [...run.missing]
  const shown = missing.slice(0, 20).join(', ')
  throw new TemplateFailure('MISSING_DATA', `The template needs data that is missing: ${shown}`, { missing })
}
