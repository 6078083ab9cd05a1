import type { SourceFile } from './source.js'

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
