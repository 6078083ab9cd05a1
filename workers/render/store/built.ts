import type { TemplateManifest } from '../../../src/wire/templates.js'
import type { CompiledTemplate } from '../late/form.js'

/** Raised when compiled templates of before can no longer be read. */
export const BUILT_FORMAT = 3

export interface BuiltFolder {
  format: typeof BUILT_FORMAT
  manifests: TemplateManifest[]
  /** By name and locale; `''` is the default. */
  templates: Record<string, Record<string, CompiledTemplate>>
  /** By locale. */
  strings: Record<string, Record<string, unknown>>
  /** Names that meant a helper of the folder's or the application's when it was built. */
  helpers: string[]
}
