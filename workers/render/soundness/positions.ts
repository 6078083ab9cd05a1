import type { Columns } from './structure.js'
import type { AttributeNode, BlockNode, Place, TemplateNode } from '../template/tree.js'

/** Where an expression stands in MJML. */
export type Position =
  /** In the content of a component, or in a comment: MJML copies it. */
  | { at: 'content'; component: string }
  /** A whole attribute value; `component` where MJML reads it. */
  | { at: 'attribute'; tag: string; attribute: string; component: boolean; settings: boolean }
  /** All of the content of a component that asks whether it has any. */
  | { at: 'whole content'; component: string }
  /** Between components. */
  | { at: 'between'; component: string }
  /** In the tag of a component, but in no attribute's value; or in a value that lies across blocks. */
  | { at: 'tag'; tag: string }

/** What a block holds, as far as MJML's structure goes. */
export interface BlockFacts {
  position: Position
  /** Each of its branches leaves the parser where it found it. */
  balanced: boolean
  /** The component that contains all of it, if it goes beyond one component's content. */
  around?: string
  /** Columns it holds, and all those of the component around it. */
  columns?: { inside: number; all: Columns }
}

/** A template whose attribute values are nodes of their own, and where everything stands. */
export interface Positions {
  nodes: TemplateNode[]
  values: Map<TemplateNode, Position>
  blocks: Map<BlockNode, BlockFacts>
  attributes: Map<AttributeNode, Position>
  /** Text that MJML drops because it stands between components. */
  dropped: Place[]
}
