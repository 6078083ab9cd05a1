import type { TemplateReport, FolderJob } from '../../workers/render/compileFolder.js'
import { ThreadpostError } from '../errors.js'
import { type Logger, resolveLogger, SILENT } from '../logging/logger.js'
import type { TemplateManifest } from '../protocol/templateManifest.js'
import { Validator } from '../validation.js'
import { resolveTemplates, type TemplateOptions } from './templateOptions.js'

export type { TemplateReport }

const check: Validator = new Validator('INVALID_OPTIONS')

export interface CompileOptions {
  /** Folder to write the compiled templates to. @default none: compiles without writing */
  out?: string
  /** Logger for the setup module. @default silent */
  logger?: Logger
  /** Called before each template, and once after the last. */
  progress?: (done: number, of: number, now: string) => void
}

/**
 * Compiles every template of a folder in the calling thread and returns a report for each variant.
 * Loads the application's modules, because templates may use their helpers.
 * @throws ThreadpostError `TEMPLATE_ERROR` if the folder can't be read, or a module fails
 */
export async function compileTemplates(
  templates: string | TemplateOptions,
  { out, logger = SILENT, progress }: CompileOptions = {},
): Promise<TemplateReport[]> {
  const { buildFolder, inspectFolder } = await import('../../workers/render/compileFolder.js')
  const job = { ...toFolderJob(templates, logger), ...(progress === undefined ? {} : { progress }) }
  return withTemplateError(out === undefined ? inspectFolder(job) : buildFolder(job, out))
}

/**
 * Returns the manifest of every template of a folder, computed in the calling thread.
 * @param logger logger for the setup module
 * @throws ThreadpostError `TEMPLATE_ERROR` if the folder can't be read, or a module fails
 */
export async function readManifests(
  templates: string | TemplateOptions,
  logger: Logger = SILENT,
): Promise<TemplateManifest[]> {
  const { readFolderManifests } = await import('../../workers/render/compileFolder.js')
  return withTemplateError(readFolderManifests(toFolderJob(templates, logger)))
}

function toFolderJob(templates: string | TemplateOptions, input: Logger): FolderJob {
  const logger = resolveLogger(check, input)
  return {
    templates: resolveTemplates(check, templates),
    log: (level, fields, message) =>
      typeof fields === 'string'
        ? logger[level]({}, fields)
        : logger[level]({ ...(fields as object) }, String(message)),
  }
}

async function withTemplateError<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw new ThreadpostError('TEMPLATE_ERROR', (error as Error).message, { cause: error })
  }
}
