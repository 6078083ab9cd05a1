import { statSync } from 'node:fs'
import { readdir, readFile, realpath } from 'node:fs/promises'
import path from 'node:path'
import { isLocale } from '../../../src/protocol/locales.js'
import {
  isComponent,
  mayBeTemplate,
  preferred,
  TEMPLATE_EXTENSIONS,
  whyNoTemplate,
} from '../languages/extensions.js'
import { type SourceFile, TemplateFailure } from '../template/sourceFile.js'

/** The files of a template folder by purpose. Later code uses their names only, never paths. */
export interface FolderFiles {
  templates: Map<string, TemplateFiles>
  /** Shared parts by file extension, then by name. `.hbs` partials belong to every language. */
  partials: Map<string, Map<string, SourceFile>>
  layouts: Map<string, Map<string, SourceFile>>
  /** Every file that `mj-include` may include, by name relative to the folder. */
  all: Map<string, SourceFile>
  locales: Map<string, SourceFile>
  /** Files that look like templates and are none, by the name that the template would have, each with the reason. */
  notTemplates: Map<string, { file: SourceFile; reason: string }>
  /** Absolute path of `helpers.js`, if it exists. */
  helpers?: string
  /** The files and folders by absolute path, each with its version before it was read. */
  watched: Map<string, string>
}

/** The variants of one template by locale in lower case. `''` is the default. Without a main source, the template is only a text part. */
export interface TemplateFiles {
  main: Map<string, SourceFile>
  text: Map<string, SourceFile>
  sample?: SourceFile
  /** `NAME.load.js`, with its absolute path. */
  load?: SourceFile & { path: string }
}

const SHARED = new Set(['partials', 'layouts', 'locales'])
const READ = new Set([...TEMPLATE_EXTENSIONS, '.txt', '.json', '.css', '.hbs'])
/** The module with the `load` function of a template. */
const LOAD = /^(.+)\.load\.(?:m?js|m?ts)$/
const HELPERS = ['helpers.js', 'helpers.mjs']
const MAX_FILES = 10_000

/** Reads all files of a template folder. @throws TemplateFailure if the folder can't be read */
export async function scanFolder(dir: string): Promise<FolderFiles> {
  const root = await realpath(dir).catch((error: unknown) => {
    throw new TemplateFailure(
      'TEMPLATE_ERROR',
      (error as NodeJS.ErrnoException).code === 'ENOENT'
        ? `The template folder ${path.resolve(dir)} doesn't exist. Specify another one, or create one with threadpost init`
        : `The template folder ${dir} can't be read: ${(error as Error).message}`,
    )
  })
  if (!statSync(root).isDirectory())
    throw new TemplateFailure(
      'TEMPLATE_ERROR',
      `The template folder ${dir} is a file; name the folder that it is in`,
    )
  const found: FolderFiles = {
    templates: new Map(),
    partials: new Map(),
    layouts: new Map(),
    all: new Map(),
    locales: new Map(),
    notTemplates: new Map(),
    watched: new Map([[root, fileVersion(root)]]),
  }
  await scan(root, '', found)
  // Sample data alone is no template.
  for (const [name, { main, text }] of found.templates)
    if (main.size === 0 && text.size === 0) found.templates.delete(name)
    else found.notTemplates.delete(name)
  return found
}

async function scan(root: string, folder: string, found: FolderFiles): Promise<void> {
  const entries = await readdir(path.join(root, folder), { withFileTypes: true })
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const name = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (entry.name.startsWith('.') || entry.name === 'node_modules') continue
    const target = await insideRoot(root, name, entry.isSymbolicLink())
    if (target === undefined) continue
    const again = found.watched.has(target)
    found.watched.set(target, fileVersion(target))
    if (found.watched.size > MAX_FILES)
      throw new TemplateFailure(
        'TEMPLATE_ERROR',
        `The template folder ${root} contains more than ${MAX_FILES} files`,
      )
    const loads = LOAD.exec(name)?.[1]
    if (entry.isDirectory()) await scan(root, name, found)
    else if (loads !== undefined && !SHARED.has(name.split('/')[0] ?? ''))
      template(found, loads).load ??= { name, path: target, text: await readText(target) }
    else if (folder === '' && HELPERS.includes(entry.name)) found.helpers = target
    else if (READ.has(path.extname(name))) {
      const file = { name, text: await readText(target) }
      addFile(name, isComponent(path.extname(name)) ? { ...file, path: target } : file, found)
    } else if (!again) found.watched.delete(target)
  }
}

/** Returns a text that is another one after the file has changed. */
export function fileVersion(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false })
  return stat === undefined ? '' : `${stat.mtimeMs} ${stat.size} ${stat.ino}`
}

/** Returns the path of an entry. A symbolic link counts only if its target is a file inside the folder. */
async function insideRoot(root: string, name: string, isLink: boolean): Promise<string | undefined> {
  const full = path.join(root, name)
  if (!isLink) return full
  const target = await realpath(full).catch(() => undefined)
  return target?.startsWith(root + path.sep) && path.extname(target) !== '' ? target : undefined
}

/** Reads a text file without its byte order mark. */
async function readText(file: string): Promise<string> {
  const text = await readFile(file, 'utf8')
  return text.startsWith('\uFEFF') ? text.slice(1) : text
}

function addFile(name: string, file: SourceFile, found: FolderFiles): void {
  found.all.set(name, file)
  const extension = path.extname(name)
  const stem = name.slice(0, -extension.length)
  const [folder = ''] = stem.split('/')
  const rest = stem.slice(folder.length + 1)
  if (SHARED.has(folder) && rest !== '') {
    if (folder === 'locales' && extension === '.json')
      found.locales.set(rest.toLowerCase().replaceAll('_', '-'), file)
    if (folder === 'layouts') shared(found.layouts, extension).set(rest, file)
    if (folder === 'partials') shared(found.partials, extension).set(rest, file)
    return
  }
  if (mayBeTemplate(file)) {
    const reason = whyNoTemplate(file)
    if (reason === undefined)
      variant(found, stem, (files, locale) => files.main.set(locale, preferred(files.main.get(locale), file)))
    else found.notTemplates.set(stem, { file, reason })
  }
  if (extension === '.txt') variant(found, stem, (files, locale) => files.text.set(locale, file))
  if (extension === '.json') template(found, stem).sample = file
}

function shared(parts: Map<string, Map<string, SourceFile>>, extension: string): Map<string, SourceFile> {
  const files = parts.get(extension) ?? new Map<string, SourceFile>()
  parts.set(extension, files)
  return files
}

function variant(
  found: FolderFiles,
  stem: string,
  add: (files: TemplateFiles, locale: string) => void,
): void {
  const dot = stem.lastIndexOf('.')
  const end = stem.slice(dot + 1)
  const localized = dot > stem.lastIndexOf('/') + 1 && isLocale(end)
  const name = localized ? stem.slice(0, dot) : stem
  add(template(found, name), localized ? end.toLowerCase().replaceAll('_', '-') : '')
}

function template(found: FolderFiles, name: string): TemplateFiles {
  let files = found.templates.get(name)
  if (files === undefined) found.templates.set(name, (files = { main: new Map(), text: new Map() }))
  return files
}
