import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { JsonObject } from '../../src/protocol/tasks.js'
import { BUILT_FILE, type TemplateManifest, type TemplateSetup } from '../../src/protocol/templateManifest.js'
import {
  ApplicationModules,
  isModuleInCommonJs,
  type LogFunction,
  renameAdvice,
} from './applicationModules.js'
import type { TemplateFiles } from './folder/scan.js'
import { type FolderVersion, readStrings, TemplateFolder } from './folder/templateFolder.js'
import { languageOf } from './languages/languages.js'
import { buildManifest, buildManifests } from './manifest/manifest.js'
import type { CompiledTemplate, Finding } from './precompiled/compiledTemplate.js'
import type { CriticalSection } from './renderer.js'
import { BUILT_FORMAT, type BuiltFolder } from './sources/builtTemplates.js'
import { resolveVariant } from './sources/folderTemplates.js'
import { missingDefault } from './sources/templateSource.js'
import { TemplateFailure } from './template/sourceFile.js'

/** Commands on a whole template folder: `threadpost check`, `types` and `build`. */

/** The result of compiling one variant of a template. */
export interface TemplateReport {
  name: string
  /** Empty for the default variant. */
  locale: string
  /** `mjml`, `html`, or `react`; empty for a file that is no template. A React component is rendered for each message. */
  language: string
  /** Everything that is wrong with it, with file, line and column. */
  errors: string[]
  /** Why MJML runs, or CSS is inlined, for each message. Empty if the variant compiles once. */
  findings: Finding[]
  warnings: string[]
}

/** A template folder with the application's modules. */
export interface FolderJob {
  templates: TemplateSetup
  /** Receives the log lines of the application's modules. */
  log: LogFunction
  /** Called before each template is compiled, and once after the last. */
  progress?: (done: number, of: number, now: string) => void
}

const runDirectly: CriticalSection = (_step, work) => work()

/** Compiles every template and returns a report for each variant. @throws TemplateFailure if the folder can't be read */
export function inspectFolder(job: FolderJob): Promise<TemplateReport[]> {
  return withFolder(job, async (version) => {
    const { reports } = await compileFolder(version, job)
    return [
      ...reports,
      ...defaultsMissing(version),
      ...unusedParts(version),
      ...(await loadsThatFail(version)),
    ]
  })
}

/** Returns the manifest of each template. @throws TemplateFailure if the folder can't be read */
export function readFolderManifests(job: FolderJob): Promise<TemplateManifest[]> {
  return withFolder(job, (version) => buildManifests(version))
}

/** A report for each template that has variants for some locales and no default. */
function defaultsMissing(version: FolderVersion): TemplateReport[] {
  return [...version.files.templates]
    .map(([name, { main, text }]) => ({ name, main: main.size > 0 ? main : text }))
    .filter(({ main }) => main.size > 0 && !main.has(''))
    .map(({ name, main }) => ({
      name,
      locale: '',
      language: languageOf(resolveVariant(version, name, [...main.keys()][0] ?? '')).name,
      errors: [missingDefault(name, main)],
      findings: [],
      warnings: [],
    }))
}

/** A report for each file that looks like a template, is none, and is named by no other file. */
function unusedParts({ files }: FolderVersion): TemplateReport[] {
  return [...files.notTemplates.values()].flatMap(({ file, reason }) => {
    // The name as an `mj-include` or an `import` has it, without its folder and, for a component, without its extension.
    const name = path.posix.basename(file.name).replace(/\.[jt]sx$/, '')
    const isUsed = [...files.all.values()].some((other) => other !== file && other.text.includes(name))
    return isUsed ? [] : [failedReport(file.name, `${reason}. No other file of the folder names it`)]
  })
}

/** A report for each module with a `load` function that Node refuses because of how it is named. */
async function loadsThatFail({ files }: FolderVersion): Promise<TemplateReport[]> {
  const loads = [...files.templates.values()].flatMap(({ load }) => (load === undefined ? [] : [load]))
  const reports = await Promise.all(
    loads.map(async (load) => {
      if (!(await isModuleInCommonJs(load))) return []
      return [failedReport(load.name, `${load.name} can't be loaded: ${renameAdvice(load.name)}`)]
    }),
  )
  return reports.flat()
}

function failedReport(name: string, error: string): TemplateReport {
  return { name, locale: '', language: '', errors: [error], findings: [], warnings: [] }
}

/**
 * Writes a folder of compiled templates. A mailer with that folder as `templates` loads MJML only for messages that need
 * it. Writes nothing if a template can't be compiled.
 */
export function buildFolder(job: FolderJob, out: string): Promise<TemplateReport[]> {
  return withFolder(job, (version) => build(version, out, job))
}

async function build(version: FolderVersion, out: string, job: FolderJob): Promise<TemplateReport[]> {
  const { reports, templates } = await compileFolder(version, job)
  if (reports.some(({ errors }) => errors.length > 0)) return reports
  const built: BuiltFolder = {
    format: BUILT_FORMAT,
    manifests: await buildManifests(version),
    templates,
    strings: Object.fromEntries(readStrings(version.files)),
    helpers: [...version.customHelpers],
  }
  await mkdir(out, { recursive: true })
  const { helpers } = version.files
  if (helpers !== undefined) await copyFile(helpers, path.join(out, path.basename(helpers)))
  for (const { load } of version.files.templates.values())
    if (load !== undefined) {
      await mkdir(path.dirname(path.join(out, load.name)), { recursive: true })
      await copyFile(load.path, path.join(out, load.name))
    }
  await writeFile(path.join(out, BUILT_FILE), JSON.stringify(built))
  return reports
}

/** Runs the work, then closes the resources that a setup module opened, as a thread does. */
async function withFolder<T>(
  { templates, log }: FolderJob,
  work: (version: FolderVersion) => Promise<T>,
): Promise<T> {
  const { dir, globals, ...modules } = templates
  const application = new ApplicationModules(modules, globals, log)
  try {
    return await work(await new TemplateFolder(dir, false, application).current())
  } finally {
    await application.close()
  }
}

async function compileFolder(
  version: FolderVersion,
  { templates: { globals }, progress = () => undefined }: FolderJob,
): Promise<{ reports: TemplateReport[]; templates: BuiltFolder['templates'] }> {
  const reports: TemplateReport[] = []
  const templates: BuiltFolder['templates'] = {}
  let done = 0
  for (const [name, files] of version.files.templates) {
    progress(done++, version.files.templates.size, name)
    const withMain = files.main.size > 0
    const locales = new Set([
      ...files.main.keys(),
      ...(files.main.has('') || !withMain ? files.text.keys() : []),
    ])
    for (const locale of locales) {
      const outcome = await compileVariant(version, name, locale, globals)
      reports.push(outcome.report)
      if (outcome.compiled !== undefined) (templates[name] ??= {})[locale] = outcome.compiled
    }
  }
  progress(done, done, 'done')
  return { reports, templates }
}

async function compileVariant(
  version: FolderVersion,
  name: string,
  locale: string,
  globals: JsonObject,
): Promise<{ report: TemplateReport; compiled?: CompiledTemplate }> {
  const source = resolveVariant(version, name, locale)
  const language = languageOf(source)
  const { error, sample } = await buildManifest(name, version.files.templates.get(name) ?? NO_FILES, version)
  const input =
    sample === undefined ? undefined : { data: sample, globals, locale: locale === '' ? 'en' : locale }
  const { errors, warnings } = await language.check(source, version.helpers, input)
  const failed = (all: string[]): { report: TemplateReport } => ({
    report: { name, locale, language: language.name, errors: all, findings: [], warnings },
  })
  if (errors.length > 0) return failed(errors)
  try {
    const { customHelpers } = version
    const compiled = await language.compile(source, { critical: runDirectly, customHelpers })
    if (error !== undefined) return failed([error])
    const notes = [...compiled.warnings, ...warnings]
    const { findings } = compiled
    return { report: { name, locale, language: language.name, errors, findings, warnings: notes }, compiled }
  } catch (failure) {
    if (!(failure instanceof TemplateFailure)) throw failure
    return failed([failure.message])
  }
}

const NO_FILES: TemplateFiles = { main: new Map(), text: new Map() }
