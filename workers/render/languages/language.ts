import type { JsonObject } from '../../../src/protocol/tasks.js'
import type { Need } from '../../../src/protocol/templateManifest.js'
import type { Helpers } from '../bind/helperCall.js'
import type { BindInput } from '../perMessageTemplate.js'
import type { CompileOptions } from '../precompiled/compileTemplate.js'
import type { CompiledTemplate } from '../precompiled/compiledTemplate.js'
import type { CriticalSection } from '../renderer.js'
import type { BoundParts } from '../template.js'
import type { VariantSource } from '../template/parseTemplate.js'
import type { CheckResult, SampleInput } from '../templateCheck.js'

/** The facts about one variant that its source states, without compiling it. */
export interface Declaration {
  hasSubject: boolean
  /** Data that the variant needs. Empty if only rendering reveals it. */
  needs: Need[]
  /** The file whose default export is a function of the data: its parameter states the type of the data. */
  component?: string
  /** Sample data inside the source. A sample file takes precedence. */
  sample?: JsonObject
}

/** A compiled template, ready to render messages. */
export interface RenderableTemplate {
  readonly compiled: CompiledTemplate
  /**
   * Returns the parts of one message. All code of the template runs inside `critical`, unless it is asynchronous.
   * Data is escaped in HTML, URLs with a script scheme are rejected, and missing data is an error.
   * @throws TemplateFailure
   */
  render(input: BindInput, critical: CriticalSection): BoundParts | Promise<BoundParts>
}

/**
 * A template language. Every thread that renders uses it, and so do `threadpost check`, `types`, and `build`; the main
 * thread never does. `test/support/languageSuite.ts` is the contract as a test.
 *
 *     file ── declare() ──► manifest: needs, subject, sample ──► send() checks the data
 *      │
 *      └───── compile() ──► plain JSON, also written by `threadpost build`
 *                               │
 *                             open() ──► a template ── render(data) ──► subject, preheader, HTML, text
 */
export interface TemplateLanguage {
  /** Stored in compiled templates; never changes. */
  readonly name: string
  /** File extensions of its main sources. The same list is in `TEMPLATE_EXTENSIONS`, which has the precedence. */
  readonly extensions: readonly string[]
  /** @throws TemplateFailure with the place of an error in the source */
  declare(source: VariantSource): Declaration | Promise<Declaration>
  /** Compiles one variant once per version. @throws TemplateFailure */
  compile(source: VariantSource, options: CompileOptions): Promise<CompiledTemplate>
  /** @param folder from which packages are loaded: the template folder, or the folder that `threadpost build` wrote */
  open(compiled: CompiledTemplate, helpers: Helpers, folder: string): Promise<RenderableTemplate>
  /** Finds every error of a variant, for `threadpost check`. Never throws for an error of the template. */
  check(source: VariantSource, helpers: Helpers, sample: SampleInput | undefined): Promise<CheckResult>
}
