import type { TemplateTrees } from '../template/parseTemplate.js'
import type { Place, TemplateNode } from '../template/tree.js'

/** Why a template, or something in it, can't be bound after MJML. */
export interface Finding {
  at: Place
  /** The expression as written. */
  expression: string
  reason: string
  /** How to write it so that it compiles once. */
  advice: string
}

/** A compiled template: plain JSON. What it holds suffices to bind without MJML. */
export interface CompiledTemplate {
  /** For messages, or whole templates, that bind first. */
  trees: TemplateTrees
  late?: PrecompiledForm
  /** Why there is no late form. */
  findings: Finding[]
  /** What MJML dropped or complained of. */
  warnings: string[]
}

export interface PrecompiledForm {
  html: TemplateNode[]
  /** Values that MJML shows nowhere: bound for what they ask of the data, then forgotten. */
  unseen: TemplateNode[]
  /** With layout marks; absent if the text comes from the bound HTML, or from `NAME.txt`. */
  text?: TemplateNode[]
  /** Source of the pattern for values that name a font which the head does not link. */
  suspect: string
  /** MJML reads the finished document (inline styles). */
  readsDocument: boolean
}
