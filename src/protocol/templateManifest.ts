/** What the main thread learns of templates, which only threads read. */
import type { JsonObject } from './tasks.js'

/** The file that `threadpost build` writes, and that makes a folder one of compiled templates. */
export const BUILT_FILE = 'threadpost-templates.json'

/** What is to be said of a template once it is compiled. */
export interface TemplateNotes {
  /** Why it binds first, so that MJML runs for each message; none if it is compiled once. */
  findings: {
    at: { file: string; line: number; column: number }
    /** The expression as written; may be empty. */
    expression: string
    reason: string
    /** How to write it so that it compiles once. */
    advice: string
  }[]
  /** What MJML dropped or complained of. */
  warnings: string[]
}

/**
 * A path into a message's data: `scope` counts contexts from the root (0), one more for each list or context that a
 * need opens around it.
 */
export interface DataPath {
  scope: number
  parts: string[]
}

/** What a template asks of its data, followed in order. Whatever can't be told beforehand is left to the thread. */
export type Need =
  | { need: 'value'; path: DataPath }
  /** Only if there is something at the path, or nothing. */
  | { need: 'if'; path: DataPath; then: Need[]; otherwise: Need[] }
  /** For every item of a list or object; `optional` where the template says what to do without it. */
  | { need: 'each'; path: DataPath; optional: boolean; items: Need[]; otherwise: Need[] }
  | { need: 'with'; path: DataPath; optional: boolean; inner: Need[]; otherwise: Need[] }

/** What follows for the data from its use: fields of an object, items of a list, or a plain value. */
export interface DataShape {
  optional?: true
  fields?: Record<string, DataShape>
  items?: DataShape
}

/** How mails of a template are sent unless they say otherwise; `@policy` of its sample file. */
export interface TemplatePolicy {
  /** 0 to 9. */
  priority?: number
  /** Milliseconds after acceptance. */
  expiresAfter?: number
  transport?: string
}

/** What a template needs and offers, computed in a thread, held by the main thread. */
export interface TemplateManifest {
  name: string
  locales: string[]
  /** What it speaks besides the default: its variants or, without any, the strings of the `t` helper. */
  languages: string[]
  hasSubject: boolean
  /** What every variant needs together. */
  needs: Need[]
  shape: DataShape
  policy?: TemplatePolicy
  /** Sample data for previews, where its file holds some. */
  sample?: JsonObject
  /** Hash of its sources and of the shared parts beside it; the same wherever the same files are. */
  version?: string
  /** Why it can't be read; mails of it fail. */
  error?: string
}

export interface TemplateListing {
  templates: TemplateManifest[]
}

/** The templates, and what the application adds to them. */
export interface TemplateSetup {
  dir: string
  /** Read as `@app`. */
  globals: JsonObject
  /** File URLs of modules. */
  setup?: string
  helpers?: string
}
