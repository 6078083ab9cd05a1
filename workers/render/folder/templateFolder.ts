import { statSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { type ApplicationModules, loadHelpers } from '../applicationModules.js'
import type { Helper, Helpers } from '../bind/helperCall.js'
import { createHelpers } from '../helpers/builtInHelpers.js'
import { type SourceFile, TemplateFailure } from '../template/sourceFile.js'
import type { SharedParts } from '../template/tree.js'
import { type FolderFiles, scanFolder } from './scan.js'

/** Which file of the folder an `mj-include` means. Names only: what is not among the files read can't be included. */
function includeFrom(
  files: ReadonlyMap<string, SourceFile>,
): (from: string, asked: string) => SourceFile | { refused: string } {
  return (from, asked) => {
    if (
      asked.includes('\0') ||
      asked.includes('\\') ||
      /^(?:[a-z]:|\/|~)/i.test(asked) ||
      asked.includes('%')
    )
      return { refused: 'is refused: a path here is relative and stays in the template folder' }
    const name = path.posix.join(path.posix.dirname(from), asked)
    if (name.startsWith('..')) return { refused: 'is refused: it leads out of the template folder' }
    return (
      files.get(name) ??
      files.get(`${name}.mjml`) ?? { refused: `finds no file '${name}' in the template folder` }
    )
  }
}

/** The folder as it was at one moment. */
export interface FolderVersion {
  files: FolderFiles
  helpers: Helpers
  parts: SharedParts
  textParts: SharedParts
  /** Tells the versions apart. */
  number: number
}

/**
 * The template folder, read when it is first asked for and again when a file changed. Whether one did is looked up
 * so rarely that it costs a hundredth of the time.
 */
export class TemplateFolder {
  #version: FolderVersion | Promise<FolderVersion> | undefined
  #signature = ''
  #count = 0
  #nextCheck = 0

  constructor(
    readonly dir: string,
    private readonly reload: boolean,
    private readonly application: ApplicationModules,
  ) {}

  /** At once where it was read before. @throws TemplateFailure when the folder or its helpers can't be read. */
  current(): FolderVersion | Promise<FolderVersion> {
    if (this.#version !== undefined && !this.#changed()) return this.#version
    const reading = this.#read()
    this.#version = reading
    const become = (version: FolderVersion | undefined): void => {
      if (this.#version === reading) this.#version = version
    }
    reading.then(become, () => become(undefined))
    return reading
  }

  #watched: readonly string[] = []

  #changed(): boolean {
    if (!this.reload) return false
    const start = performance.now()
    if (start < this.#nextCheck) return false
    const changed = signatureOf(this.#watched) !== this.#signature
    const end = performance.now()
    this.#nextCheck = end + 100 * (end - start)
    return changed
  }

  async #read(): Promise<FolderVersion> {
    const files = await scanFolder(this.dir)
    this.#watched = files.watched
    this.#signature = signatureOf(files.watched)
    const ofFolder =
      files.helpers === undefined
        ? new Map<string, Helper>()
        : await loadHelpers(pathToFileURL(files.helpers))
    const custom = new Map([...ofFolder, ...(await this.application.helpers())])
    const helpers = createHelpers(custom, readStrings(files))
    const parts: SharedParts = {
      partials: files.partials,
      layouts: files.layouts,
      include: includeFrom(files.all),
      helpers: new Set(helpers.byName.keys()),
      customHelpers: new Set([...custom.keys()]),
    }
    const textParts = { ...parts, partials: new Map([...files.partials, ...files.textPartials]) }
    return { files, helpers, parts, textParts, number: ++this.#count }
  }
}

function signatureOf(paths: readonly string[]): string {
  let signature = ''
  for (const path of paths) {
    const stat = statSync(path, { throwIfNoEntry: false })
    signature += stat === undefined ? '-' : `${stat.mtimeMs} ${stat.size} ${stat.ino};`
  }
  return signature
}

/** Strings of the `t` helper. */
export function readStrings(files: FolderFiles): Map<string, Record<string, unknown>> {
  const strings = new Map<string, Record<string, unknown>>()
  for (const [locale, file] of files.locales) {
    try {
      strings.set(locale, JSON.parse(file.text) as Record<string, unknown>)
    } catch (error) {
      throw new TemplateFailure('TEMPLATE_ERROR', `${file.name}: ${(error as Error).message}`, {
        location: { file: file.name },
      })
    }
  }
  return strings
}
