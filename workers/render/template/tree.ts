import type { SourceLocation } from '../../../src/errors.js'
import type { SourceFile } from './sourceFile.js'

/**
 * A template as a tree: the output of Handlebars' parser, with partials, layouts and includes expanded and every name
 * resolved. Plain JSON, so that a compiled template can be written to a file and loaded again.
 */

export interface Place extends SourceLocation {
  line: number
  column: number
}

/** A literal, a path into the data, or the call of a helper. */
export type Expression =
  | { kind: 'literal'; value: string | number | boolean | null }
  | { kind: 'undefined' }
  | PathExpression
  | CallExpression

export interface PathExpression {
  kind: 'path'
  /** `@name`: looked up among the `@` variables, where `up` counts `@../`. */
  variable: boolean
  /** Number of contexts to go up (`../`). */
  up: number
  parts: string[]
  /** The number of the block parameter that the first part names, if it names one. */
  parameter?: number
  /** Source text. */
  source: string
}

export interface CallExpression {
  kind: 'call'
  helper: string
  args: Expression[]
  hash: [name: string, value: Expression][]
  source: string
  at: Place
}

export interface TextNode {
  kind: 'text'
  text: string
  at: Place
}

export interface ValueNode {
  kind: 'value'
  expression: Expression
  /** `{{{x}}}` and `{{&x}}`. */
  raw: boolean
  /** Its position in HTML, which decides what a raw value may contain. Set by the analysis. */
  inside?: 'text' | 'tag' | 'other'
  /** It is part of a URL that can't be checked as a whole: unquoted, or divided across blocks. */
  loose?: UrlCheck
  /** It may be at the start or end of a content that MJML trims, which shows for all white space or only for unusual one. */
  edge?: EdgeCheck
  /** Source text. */
  source: string
  at: Place
}

/** White space that HTML doesn't collapse, such as a no-break space, is unusual. MJML trims it all the same. */
export type EdgeCheck = 'space' | 'unusual'

/** Whether one URL is checked, or a list of URLs as in `srcset`. */
export type UrlCheck = 'one' | 'list'

/**
 * - `if`, `unless`, `each`, `with`: the built-in blocks.
 * - `section`: `{{#name}}` as in Mustache: repeats for a list, shows for a truthy value, else shows the inverse.
 * - `call`: a block helper.
 */
export type BlockType = 'if' | 'unless' | 'each' | 'with' | 'section' | 'call'

export interface BlockNode {
  kind: 'block'
  type: BlockType
  /** The condition, list or context; the call for type `call`. */
  subject: Expression
  /** `includeZero` of `if` and `unless`. */
  includeZero?: Expression
  body: TemplateNode[]
  inverse: TemplateNode[]
  /** Whether the block has an `{{else}}`. */
  hasInverse: boolean
  /**
   * Numbers of the block parameters of the body (`as |item index|`). A reference holds the same number, so that it
   * doesn't depend on the blocks between the two.
   */
  parameters: number[]
  source: string
  at: Place
}

/** The arguments of a call of a shared part, evaluated in the scope of the call. */
export interface Arguments {
  context?: Expression
  hash: [name: string, value: Expression][]
  /** White space to write before each line of the part. */
  indent?: string
}

/**
 * The contexts that `../` reaches: those around the call (`here`), none because the nodes are a separate file (`file`),
 * or those around the place where the nodes were written, which a scope node kept under this number.
 */
export type Reach = 'here' | 'file' | number

/** Nodes with their own scope: those of a partial, a partial block or a layout. */
export interface ScopeNode extends Arguments {
  kind: 'scope'
  reach: Reach
  /** Keeps the scope around the node under this number, for nodes of the body that were written there. */
  keep?: number
  /** Adds a layer of variables for `@../`. */
  layer?: true
  body: TemplateNode[]
  at: Place
}

/** Records the scope of its nodes for the {@link AnchoredNode}s among them. Exists only in the output of MJML. */
export interface AnchorNode {
  kind: 'anchor'
  id: number
  body: TemplateNode[]
  at: Place
}

/** Nodes that MJML copied into a block. They are bound in the scope of their anchor, where they were written. */
export interface AnchoredNode {
  kind: 'anchored'
  to: number
  body: TemplateNode[]
  at: Place
}

/** A partial that can't be expanded ahead of time: its name is computed, or it calls itself. */
export interface PartialNode extends Arguments {
  kind: 'partial'
  name: Expression
  /** By name: keys of the candidates in the template's `partials`. */
  candidates: Record<string, string>
  /** Why the partial can't be called. */
  refusal?: string
  source: string
  at: Place
}

/** A whole attribute value (or content of an element), bound as one, because its checks need all of it. */
export interface AttributeNode {
  kind: 'attribute'
  /** Name of the attribute. Empty for content. */
  name: string
  value: TemplateNode[]
  checks: AttributeChecks
  at: Place
}

/** Checks and changes of an attribute value, each because of something that MJML does with the value. */
export interface AttributeChecks {
  /** Reject a URL with a scheme that is not allowed. */
  url?: UrlCheck
  /** The value is the content of an element, which MJML trims. */
  content?: true
  /** The fixed content already contains quotes, so quotes in a raw value make no difference where MJML copies it into an attribute. */
  quotes?: true
  /** MJML tests whether there is a value, so a message with an empty one has to render with MJML. */
  present?: true
  /** MJML compares it with words such as `none`, and reads `$` in it. */
  copied?: true
  /** MJML writes `#abc` as `#aabbcc`. */
  color?: true
  /** The value is in a conditional comment, where MJML collapses white space. */
  tidy?: true
  /** Inline styles are applied to the element, so only a plain value stays unchanged. */
  plain?: true
  /** MJML adds this suffix to each class. */
  suffix?: string
}

export type TemplateNode =
  TextNode | ValueNode | BlockNode | ScopeNode | AnchorNode | AnchoredNode | PartialNode | AttributeNode

/** The shared parts that a template may use. Looked up by name, never by joining paths. */
export interface SharedParts {
  partials: ReadonlyMap<string, SourceFile>
  layouts: ReadonlyMap<string, SourceFile>
  /** Returns the file that an `mj-include` in `from` refers to, or why it is not allowed. */
  include(from: string, path: string): SourceFile | { refused: string }
  /** Names of all helpers, built-in and custom. */
  helpers: ReadonlySet<string>
  /** Names of the project's own helpers. */
  customHelpers: ReadonlySet<string>
  /** Differs whenever a component of the folder has changed. */
  componentsVersion?: string
}
