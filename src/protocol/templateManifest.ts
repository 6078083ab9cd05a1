/* The facts about templates that threads compute and the main thread needs. */
import type { JsonObject, ThreadLogLine } from './tasks.js'

/** The file that `threadpost build` writes. A folder that contains it is a compiled folder. */
export const BUILT_FILE = 'threadpost-templates.json'

/** The notes about how a template compiles. */
export interface TemplateNotes {
  /** The template's language: `mjml`, `html`, or `react`. Absent if it can't be compiled. A React component is rendered for each message. */
  language?: string
  /** The reasons why MJML runs, or CSS is inlined, for each message; empty if the template is compiled once. */
  findings: {
    at: { file: string; line: number; column: number }
    /** The expression as written; may be empty. */
    expression: string
    reason: string
    /** The way to write it so that the template is compiled once. */
    advice: string
  }[]
  /** Content that MJML dropped, and MJML's own warnings. */
  warnings: string[]
}

/**
 * A path into a message's data. `scope` is the context in which it starts: 0 is the root, and each enclosing `each` or
 * `with` adds 1.
 */
export interface DataPath {
  scope: number
  parts: string[]
}

/**
 * One requirement of a template on its data. `send()` checks them in order; requirements that only rendering reveals are
 * checked in the thread.
 */
export type Need =
  | { need: 'value'; path: DataPath }
  /** `then` applies if there is a value at the path, `otherwise` if there is none. */
  | { need: 'if'; path: DataPath; then: Need[]; otherwise: Need[] }
  /** Applies to every item of a list or object; `optional` if the template has an `else` for a missing one. */
  | { need: 'each'; path: DataPath; optional: boolean; items: Need[]; otherwise: Need[] }
  | { need: 'with'; path: DataPath; optional: boolean; inner: Need[]; otherwise: Need[] }
  /** The value decides the scheme of a URL. */
  | { need: 'url'; path: DataPath }

/** The shape of the data, inferred from its use: fields of an object, items of a list, or a plain value. */
export interface DataShape {
  optional?: true
  fields?: Record<string, DataShape>
  items?: DataShape
}

/** The defaults for mails of a template: `@policy` in its sample file. */
export interface TemplatePolicy {
  /** 0 to 9. */
  priority?: number
  /** Milliseconds after acceptance. */
  expiresAfter?: number
  transport?: string
}

/** The declarations of a template's load module. */
export interface LoadDeclaration {
  /** The file, relative to the template folder. */
  file: string
  /** The paths that `load` adds to the data. Absent if it doesn't declare them: then `send()` doesn't check the data. */
  adds?: string[]
  /** The type of the parameter `data` in its JSDoc. Absent if there is none. */
  dataType?: string
}

/** The data that a variant of a template needs, and whether it sets the subject. */
export interface TemplateVariant {
  hasSubject: boolean
  needs: Need[]
}

/** The declaration of a template: its data, locales, and policy. A thread computes it, and the main thread keeps it. */
export interface TemplateManifest extends TemplateVariant {
  name: string
  locales: string[]
  /** Its languages besides the default: those of its variants or, without any, those of the `t` helper's strings. */
  languages: string[]
  /** It has variants for its locales only: a mail in any other language is refused. */
  defaultMissing?: true
  /** Whether every variant sets the subject. */
  hasSubject: boolean
  /** The data that every variant needs. */
  needs: Need[]
  /** The variants by their locales, '' for the default. Absent if all need the same, or if `load` may choose another. */
  variants?: Record<string, TemplateVariant>
  shape: DataShape
  /** Its `load` function, if it has one. `needs` and `shape` are then those of the data that `send()` is given. */
  load?: LoadDeclaration
  /** The file of a React component, whose props are the data. */
  component?: string
  policy?: TemplatePolicy
  /** Schemes that bound URLs may have. @default http, https, mailto and tel */
  urlSchemes?: readonly string[]
  /** Sample data for previews, if its sample file has any. */
  sample?: JsonObject
  /** Hash of its sources and of the shared parts next to it: the same on every machine that has the same files. */
  version?: string
  /** The error because of which it can't be read; mails of it fail. */
  error?: string
}

export interface TemplateListing {
  templates: TemplateManifest[]
  /** Why files that look like templates are none, by the name that the template would have. */
  notTemplates?: Record<string, string>
}

/** The messages of the thread that lists templates: log lines, then the listing or an error. */
export type ListingMessage =
  | { kind: 'log'; line: ThreadLogLine }
  | { kind: 'listing'; listing: TemplateListing }
  | { kind: 'error'; message: string }

/** The template folder, and the application's additions to it. */
export interface TemplateSetup {
  dir: string
  /** The values of `@app`. */
  globals: JsonObject
  /** File URL of the setup module. */
  setup?: string
  /** File URL of the module with the application's helpers. */
  helpers?: string
  /** Schemes that bound URLs may have, in lower case. */
  urlSchemes?: readonly string[]
}
