import type { JsonObject, RenderedParts } from '../../src/protocol/tasks.js'
import { Binder, type OutputEncoder } from './bind/binder.js'
import { BindingRun } from './bind/bindingRun.js'
import type { Helpers } from './bind/helperCall.js'
import type { Variables } from './bind/scope.js'
import { escapeHtml, rejectMjml, rejectScheme } from './bind/values.js'
import { contentHash, LruCache } from './lruCache.js'
import { loadMjml, type Mjml, type MjmlResult } from './mjml.js'
import type { CriticalSection } from './renderer.js'
import type { TemplateTrees } from './template/parseTemplate.js'
import { TemplateFailure } from './template/sourceFile.js'
import { toOneLine } from './template/subjectAndPreheader.js'
import { loadHtmlToText } from './text/htmlToText.js'
import { layOutText } from './text/layout.js'
import { stripLayoutMarks } from './text/layoutMarks.js'

/** The data and variables of one message. */
export interface BindInput {
  data: JsonObject
  variables: Variables
}

/** The sources of one message's parts. */
export interface BoundSource {
  source: string
  subject: string
  preheader: string
  text: string | undefined
}

function mjmlEncoder({ urlSchemes }: Helpers): OutputEncoder {
  return {
    escape: (text, node) => escapeHtml(node.loose ? rejectScheme(text, node, urlSchemes) : text),
    raw: (html, node) => rejectMjml(node.loose ? rejectScheme(html, node, urlSchemes) : html, node.at),
    block: (html) => html,
    attribute: (value, node, authored) =>
      node.checks.url ? rejectScheme(value, node, urlSchemes, authored) : value,
  }
}

/** Texts that MJML and its style inliner search for with regular expressions that scan ahead from each match. */
const SLOW_PATTERNS = /font-family:|\{\{/gi
/** Matches times characters of the source. Beyond this cost, the search would block the thread for too long. */
const MAX_SEARCH_COST = 20_000_000

/** Like `mjmlEncoder`, but writes those texts with character references. CSS has no references, so style sheets stay as they are. */
function mjmlEncoderWithReferences(helpers: Helpers): OutputEncoder {
  const encoder = mjmlEncoder(helpers)
  return {
    ...encoder,
    escape: (text, node) => withCharacterReferences(encoder.escape(text, node)),
    raw: (html, node) => {
      const checked = encoder.raw(html, node)
      return /<style/i.test(checked) ? checked : withCharacterReferences(checked)
    },
  }
}

function withCharacterReferences(html: string): string {
  return html.replace(SLOW_PATTERNS, (found) =>
    found === '{{' ? '&#123;&#123;' : `${found.slice(0, -1)}&#58;`,
  )
}

/** For headers and text parts, which hold the data unescaped. */
export const PLAIN_TEXT: OutputEncoder = {
  escape: stripLayoutMarks,
  raw: (html) => html,
  block: (text) => text,
  attribute: (value) => value,
}

/** Each entry holds about 30 KB. */
const MAX_RESULTS = 20

/** Binds the data into the MJML source and runs MJML for each message. Correct for every template, but slow. */
export class PerMessageTemplate {
  readonly #mjml: Binder
  readonly #bindWithReferences: () => Binder
  readonly #subject: Binder | undefined
  readonly #preheader: Binder | undefined
  readonly #text: Binder | undefined
  /** Messages with the same bound source share one run of MJML. */
  readonly #results = new LruCache<Promise<MjmlResult>>(MAX_RESULTS)

  /** @param load loads the conversion of the bound source to HTML */
  constructor(
    trees: TemplateTrees,
    helpers: Helpers,
    private readonly load: () => Promise<Mjml> = loadMjml,
  ) {
    const partials = new Map(Object.entries(trees.partials))
    const plain = (nodes: TemplateTrees['text']) =>
      nodes === undefined ? undefined : new Binder(nodes, helpers, PLAIN_TEXT, partials)
    this.#mjml = new Binder(trees.mjml, helpers, mjmlEncoder(helpers), partials)
    this.#bindWithReferences = () =>
      new Binder(trees.mjml, helpers, mjmlEncoderWithReferences(helpers), partials)
    this.#subject = plain(trees.subject)
    this.#preheader = plain(trees.preheader)
    this.#text = plain(trees.text)
  }

  /** @throws TemplateFailure */
  async render(input: BindInput, critical: CriticalSection): Promise<RenderedParts> {
    const mjml = await this.load()
    const toText = this.#text === undefined ? await loadHtmlToText() : undefined
    const { bound, key, working } = critical('render', () => {
      const bound = this.bind(input)
      const key = contentHash(bound.source)
      return { bound, key, working: this.#results.get(key) ?? mjml(bound.source) }
    })
    this.#results.set(key, working)
    const { html } = await working.catch((error: unknown) => {
      if (error instanceof TemplateFailure) throw error
      throw new TemplateFailure(
        'TEMPLATE_ERROR',
        `MJML can't convert this template: ${(error as Error).message}`,
      )
    })
    const text = bound.text ?? critical('render', () => layOutText(toText?.(html) ?? ''))
    return { subject: bound.subject, preheader: bound.preheader, html, text }
  }

  /** Returns the MJML source with the data in it. @throws TemplateFailure */
  bind(input: BindInput): BoundSource {
    const run = new BindingRun()
    const row = this.#mjml.bind(input.data, input.variables, run)
    const line = (binder: Binder | undefined) =>
      binder === undefined ? '' : toOneLine(binder.text(binder.bind(input.data, input.variables, run)))
    const subject = line(this.#subject)
    const preheader = line(this.#preheader)
    const text = this.#text?.text(this.#text.bind(input.data, input.variables, run))
    throwIfMissing(run)
    return { source: this.#limitSearchCost(this.#mjml.text(row), input), subject, preheader, text }
  }

  /** Returns the source, bound again with references if MJML would spend too long on searching it. */
  #limitSearchCost(source: string, { data, variables }: BindInput): string {
    const limit = MAX_SEARCH_COST / source.length
    const matches = source.matchAll(SLOW_PATTERNS)
    let found = 0
    while (found <= limit && matches.next().done !== true) found++
    if (found <= limit) return source
    const binder = this.#bindWithReferences()
    return binder.text(binder.bind(data, variables, new BindingRun()))
  }
}

/** @throws TemplateFailure `MISSING_DATA` if the template needs data that is absent */
export function throwIfMissing(run: BindingRun): void {
  if (run.missing.size === 0) return
  const missing = [...run.missing]
  const shown = missing.slice(0, 20).join(', ')
  throw new TemplateFailure('MISSING_DATA', `The template needs data that is missing: ${shown}`, { missing })
}
