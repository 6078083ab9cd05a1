import type { SourceLocation } from '../../../src/errors.js'
import type { SourceFile } from './sourceFile.js'

/**
 * A template as a tree: what Handlebars' parser found, with partials, layouts and includes put in their places and
 * every name resolved. Plain JSON, so that a compiled template can be written to a file and loaded again.
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
  /** `@name`: looked up among the data variables, where `up` counts `@../`. */
  variable: boolean
  /** Contexts to go up (`../`). */
  up: number
  parts: string[]
  /** Set where the first part names a block parameter: the number under which its block binds it. */
  parameter?: number
  /** As written. */
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
  /** Where in HTML it stands, once that was looked at: what a raw value may hold depends on it. */
  inside?: 'text' | 'tag' | 'other'
  /** It is part of a URL that can't be looked at as a whole: unquoted, or in parts across blocks. */
  loose?: true
  /** It may be the first or last of a content that MJML trims. */
  edge?: boolean
  /** As it stands in the source. */
  source: string
  at: Place
}

/**
 * - `if`, `unless`, `each`, `with`: the built-in blocks.
 * - `section`: `{{#name}}` of Mustache: a list repeats, a truthy value shows, anything else is the inverse.
 * - `call`: a helper that is given its block.
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
  /** Whether an `{{else}}` was written. */
  hasInverse: boolean
  /**
   * The block parameters of the body (`as |item index|`), each by a number of its own. A reference holds the same
   * number, so that nothing depends on how many blocks lie between the two.
   */
  parameters: number[]
  source: string
  at: Place
}

/** What is evaluated at a call of a shared part, in the scope that the call stands in. */
export interface Arguments {
  context?: Expression
  hash: [name: string, value: Expression][]
  /** Written before each line of the part. */
  indent?: string
}

/**
 * Which contexts `../` reaches: those around the call (`here`), none because the nodes are a file of their own
 * (`file`), or those around the place where the nodes were written, which a scope node kept under this number.
 */
export type Reach = 'here' | 'file' | number

/** Nodes that are evaluated in a scope of their own: those of a partial, of a partial block or of a layout. */
export interface ScopeNode extends Arguments {
  kind: 'scope'
  reach: Reach
  /** Keeps the scope that the node stands in, for nodes of the body that were written there. */
  keep?: number
  /** Adds a layer of variables, which `@../` counts. */
  layer?: true
  body: TemplateNode[]
  at: Place
}

/** Remembers the scope that its nodes are bound in, for {@link AnchoredNode}s among them. Only in what MJML made. */
export interface AnchorNode {
  kind: 'anchor'
  id: number
  body: TemplateNode[]
  at: Place
}

/** Nodes that MJML copied into a block: bound in the scope of the anchor around them, where they were written. */
export interface AnchoredNode {
  kind: 'anchored'
  to: number
  body: TemplateNode[]
  at: Place
}

/** A partial that can't be put in its place beforehand: its name is computed, or it calls itself. */
export interface PartialNode extends Arguments {
  kind: 'partial'
  name: Expression
  /** By name: the partials that may be meant, as keys of the template's `partials`. */
  candidates: Record<string, string>
  /** Why it can't be called. */
  refusal?: string
  source: string
  at: Place
}

/** A whole attribute value (or element's content), bound as one, because what it means depends on all of it. */
export interface AttributeNode {
  kind: 'attribute'
  /** Of the attribute; empty for content. */
  name: string
  value: TemplateNode[]
  checks: AttributeChecks
  at: Place
}

export interface AttributeChecks {
  /** Refuse a URL that could run a script. */
  url?: true
  /** It is an element's content, which MJML trims. */
  content?: true
  /** The content as written holds quotes, so that those of a raw value change nothing more where MJML copies it into one. */
  quotes?: true
  /** MJML asks whether there is a value, so that an empty one needs binding first. */
  present?: true
  /** MJML compares it with words such as `none`, and reads `$` in it. */
  copied?: true
  /** MJML writes `#abc` as `#aabbcc`. */
  color?: true
  /** It stands in a conditional comment, where MJML collapses white space. */
  tidy?: true
  /** Inline styles are applied to the element, so that only a plain value comes through as it is. */
  plain?: true
  /** MJML adds this to each class. */
  suffix?: string
}

export type TemplateNode =
  TextNode | ValueNode | BlockNode | ScopeNode | AnchorNode | AnchoredNode | PartialNode | AttributeNode

/** What a template may draw on while it is put together. Looked up by name, never by joining paths. */
export interface SharedParts {
  partials: ReadonlyMap<string, SourceFile>
  layouts: ReadonlyMap<string, SourceFile>
  /** The file an `mj-include` of `from` means, or why it may not be read. */
  include(from: string, path: string): SourceFile | { refused: string }
  /** Names of the helpers that exist, built in and custom. */
  helpers: ReadonlySet<string>
  /** Names of the helpers in the project's own `helpers.js`. */
  customHelpers: ReadonlySet<string>
}
