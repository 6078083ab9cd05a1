import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { BUILT_FILE, type TemplateManifest, type TemplateSetup } from '../../src/protocol/templateManifest.js'
import { ApplicationModules, type LogFunction } from './applicationModules.js'
import { type FolderVersion, readStrings, TemplateFolder } from './folder/templateFolder.js'
import { buildManifests } from './manifest/manifest.js'
import { compileTemplate } from './precompiled/compileTemplate.js'
import type { CompiledTemplate, Finding } from './precompiled/compiledTemplate.js'
import type { CriticalSection } from './renderer.js'
import { BUILT_FORMAT, type BuiltFolder } from './sources/builtTemplates.js'
import { resolveVariant } from './sources/folderTemplates.js'
import { TemplateFailure } from './template/sourceFile.js'

/** Commands on a whole template folder: `threadpost check`, `types` and `build`. */

/** The result of compiling one variant of a template. */
export interface TemplateReport {
  name: string
  /** Empty for the default variant. */
  locale: string
  /** Why the variant can't be used at all, with file, line and column. */
  error?: string
  /** Why MJML runs for each message. Empty if the variant compiles once. */
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
  return withFolder(job, async (version) => (await compileFolder(version, job.progress)).reports)
}

/** Returns the manifest of each template. @throws TemplateFailure if the folder can't be read */
export function readFolderManifests(job: FolderJob): Promise<TemplateManifest[]> {
  return withFolder(job, async (version) => buildManifests(version))
}

/**
 * Writes a folder of compiled templates. A mailer with that folder as `templates` loads MJML only for messages that need
 * it. Writes nothing if a template can't be compiled.
 */
export function buildFolder(job: FolderJob, out: string): Promise<TemplateReport[]> {
  return withFolder(job, (version) => build(version, out, job.progress))
}

async function build(
  version: FolderVersion,
  out: string,
  progress: FolderJob['progress'],
): Promise<TemplateReport[]> {
  const { reports, templates } = await compileFolder(version, progress)
  if (reports.some(({ error }) => error !== undefined)) return reports
  const built: BuiltFolder = {
    format: BUILT_FORMAT,
    manifests: buildManifests(version),
    templates,
    strings: Object.fromEntries(readStrings(version.files)),
    helpers: [...version.parts.customHelpers],
  }
  await mkdir(out, { recursive: true })
  const { helpers } = version.files
  if (helpers !== undefined) await copyFile(helpers, path.join(out, path.basename(helpers)))
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
  progress: FolderJob['progress'] = () => undefined,
): Promise<{ reports: TemplateReport[]; templates: BuiltFolder['templates'] }> {
  const reports: TemplateReport[] = []
  const templates: BuiltFolder['templates'] = {}
  let done = 0
  for (const [name, files] of version.files.templates) {
    progress(done++, version.files.templates.size, name)
    const withMjml = files.mjml.size > 0
    const locales = new Set([
      ...files.mjml.keys(),
      ...(files.mjml.has('') || !withMjml ? files.text.keys() : []),
    ])
    for (const locale of locales) {
      const outcome = await compileVariant(version, name, locale)
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
): Promise<{ report: TemplateReport; compiled?: CompiledTemplate }> {
  try {
    const source = resolveVariant(version, name, locale)
    const { customHelpers } = version.parts
    const compiled = await compileTemplate(source, { critical: runDirectly, customHelpers })
    const { findings, warnings } = compiled
    return { report: { name, locale, findings, warnings }, compiled }
  } catch (error) {
    if (!(error instanceof TemplateFailure)) throw error
    return { report: { name, locale, error: error.message, findings: [], warnings: [] } }
  }
}
