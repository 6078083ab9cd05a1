import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseJson } from '../../../src/protocol/parseJson.js'
import { type ApplicationModules, loadHelpers } from '../applicationModules.js'
import type { Helper, Helpers } from '../bind/helperCall.js'
import { createHelpers } from '../helpers/builtInHelpers.js'
import { type SourceFile, TemplateFailure } from '../template/sourceFile.js'
import type { SharedParts } from '../template/tree.js'
import { type FolderFiles, fileVersion, scanFolder } from './scan.js'

/** Resolves the path of an `mj-include`. It looks names up among the files already read, so no other file can be included. */
function includeFrom(
  files: ReadonlyMap<string, SourceFile>,
): (from: string, include: string) => SourceFile | { refused: string } {
  return (from, include) => {
    if (
      include.includes('\0') ||
      include.includes('\\') ||
      /^(?:[a-z]:|\/|~)/i.test(include) ||
      include.includes('%')
    )
      return { refused: 'is not allowed: use a relative path that stays in the template folder' }
    const name = path.posix.join(path.posix.dirname(from), include)
    if (name.startsWith('..')) return { refused: 'is not allowed: the path leads out of the template folder' }
    return (
      files.get(name) ??
      files.get(`${name}.mjml`) ?? { refused: `fails: the template folder has no file '${name}'` }
    )
  }
}

/** Milliseconds after which a preview looks for changed files, however long that takes; below the dashboard's `REPEAT_AFTER`. */
const LONGEST_RECHECK = 500

/** Reads of any folder in this thread. */
let reads = 0

/** The folder as it was at one moment. */
export interface FolderVersion {
  files: FolderFiles
  helpers: Helpers
  /** The shared parts for main sources with a file extension, such as `.mjml`. */
  partsFor: (extension: string) => { parts: SharedParts; textParts: SharedParts }
  /** Names of the helpers of the folder and the application. */
  customHelpers: ReadonlySet<string>
  /** Different for each version. */
  number: number
}

/**
 * The template folder, read on first use and again after a file has changed. Checks for changes take at most a hundredth
 * of the time.
 */
export class TemplateFolder {
  #version: FolderVersion | Promise<FolderVersion> | undefined
  #count = 0
  #nextCheck = 0
  #lastCheck = { end: 0, took: 0 }

  constructor(
    readonly dir: string,
    private readonly reload: boolean,
    private readonly application: ApplicationModules,
  ) {}

  /** Returns the current version, synchronously if it is already read. @throws TemplateFailure if the folder or its helpers can't be read */
  current(): FolderVersion | Promise<FolderVersion> {
    if (this.#version !== undefined && !this.#changed()) return this.#version
    const reading = this.#read()
    this.#version = reading
    const settle = (version: FolderVersion | undefined): void => {
      if (this.#version === reading) this.#version = version
    }
    reading.then(settle, () => settle(undefined))
    return reading
  }

  /** Looks for changed files soon, for a preview: checks may take a tenth of the time then, or more if they take long. */
  recheck(): void {
    const { end, took } = this.#lastCheck
    this.#nextCheck = Math.min(this.#nextCheck, end + Math.min(10 * took, LONGEST_RECHECK))
  }

  #watched: FolderFiles['watched'] = new Map()

  #changed(): boolean {
    if (!this.reload) return false
    const start = performance.now()
    if (start < this.#nextCheck) return false
    const changed = [...this.#watched].some(([file, version]) => fileVersion(file) !== version)
    const end = performance.now()
    this.#lastCheck = { end, took: end - start }
    this.#nextCheck = end + 100 * (end - start)
    return changed
  }

  async #read(): Promise<FolderVersion> {
    const files = await scanFolder(this.dir)
    this.#watched = files.watched
    const ofFolder =
      files.helpers === undefined
        ? new Map<string, Helper>()
        : await loadHelpers(pathToFileURL(files.helpers))
    const custom = new Map([...ofFolder, ...(await this.application.helpers())])
    const helpers = createHelpers(custom, readStrings(files), this.application.urlSchemes)
    const number = ++this.#count
    const common = {
      componentsVersion: `${++reads}`,
      include: includeFrom(files.all),
      helpers: new Set(helpers.byName.keys()),
      customHelpers: new Set([...custom.keys()]),
    }
    const partials = (...extensions: string[]) =>
      new Map(extensions.flatMap((extension) => [...(files.partials.get(extension) ?? [])]))
    const partsFor: FolderVersion['partsFor'] = (extension) => {
      const layouts = files.layouts.get(extension) ?? new Map<string, SourceFile>()
      return {
        parts: { ...common, layouts, partials: partials('.hbs', extension) },
        textParts: { ...common, layouts, partials: partials('.hbs', extension, '.txt') },
      }
    }
    return { files, helpers, partsFor, customHelpers: common.customHelpers, number }
  }
}

/** Returns the strings of the `t` helper by locale. */
export function readStrings(files: FolderFiles): Map<string, Record<string, unknown>> {
  const strings = new Map<string, Record<string, unknown>>()
  for (const [locale, file] of files.locales) {
    try {
      strings.set(locale, parseJson(file.text) as Record<string, unknown>)
    } catch (error) {
      throw new TemplateFailure('TEMPLATE_ERROR', `${file.name}: ${(error as Error).message}`, {
        location: { file: file.name },
      })
    }
  }
  return strings
}
