import type { TemplateTrees } from '../template/parseTemplate.js'
import type { Place, TemplateNode } from '../template/tree.js'

/** Why a template, or an expression in it, can't be bound after MJML. */
export interface Finding {
  at: Place
  /** The expression as written. Empty if the finding is about the whole template. */
  expression: string
  reason: string
  /** How to change the template so that it compiles once. */
  advice: string
}

/** A compiled template as plain JSON, as stored in a built folder. Messages that use the precompiled form need no MJML. */
export interface CompiledTemplate {
  /** The name of its language. @default 'mjml' */
  language?: string
  /** The program of a language whose templates are programs. */
  program?: string
  /** For subject and preheader, and for messages or templates that need MJML for each message. */
  trees: TemplateTrees
  /** The precompiled form. The name is part of the format of built folders. */
  late?: PrecompiledForm
  /** Why there is no precompiled form. */
  findings: Finding[]
  /** Problems reported by MJML, and text that it drops. */
  warnings: string[]
}

/** A template that was compiled by MJML once, as nodes over its HTML. */
export interface PrecompiledForm {
  html: TemplateNode[]
  /** Values that MJML leaves out of the HTML. They are bound only to find missing data. */
  unseen: TemplateNode[]
  /** The text part with layout marks. Absent if the text comes from the bound HTML, or from `NAME.txt`. */
  text?: TemplateNode[]
  /** Regular expression source that matches values with a font that the head does not link. */
  suspect: string
  /** Whether MJML reads the finished document, as for inline styles. */
  readsDocument: boolean
}
