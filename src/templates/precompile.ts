import type { TemplateReport, FolderJob } from '../../workers/render/compileFolder.js'
import { ThreadpostError } from '../errors.js'
import { type Logger, resolveLogger, SILENT } from '../logging/logger.js'
import type { TemplateManifest } from '../protocol/templateManifest.js'
import { Validator } from '../validation.js'
import { resolveTemplates, type TemplateOptions } from './templateOptions.js'

export type { TemplateReport }

const check: Validator = new Validator('INVALID_OPTIONS')

export interface CompileOptions {
  /** Where to write them compiled. */
  out?: string
  /** What a setup module logs to. */
  logger?: Logger
  /** Told before each template, and when all are done. */
  progress?: (done: number, of: number, now: string) => void
}

/**
 * Compiles every template of a folder in the calling thread and says how it went.
 * The application's modules run for it, since a name may mean a helper of theirs.
 * @throws ThreadpostError `TEMPLATE_ERROR` when the folder can't be read, or a module fails.
 */
export async function compileTemplates(
  templates: string | TemplateOptions,
  { out, logger = SILENT, progress }: CompileOptions = {},
): Promise<TemplateReport[]> {
  const { buildFolder, inspectFolder } = await import('../../workers/render/compileFolder.js')
  const workpiece = { ...workpieceOf(templates, logger), ...(progress === undefined ? {} : { progress }) }
  return explained(out === undefined ? inspectFolder(workpiece) : buildFolder(workpiece, out))
}

/**
 * What every template of a folder needs, found out in the calling thread.
 * @param logger what a setup module logs to
 * @throws ThreadpostError `TEMPLATE_ERROR` when the folder can't be read, or a module fails.
 */
export async function readManifests(
  templates: string | TemplateOptions,
  logger: Logger = SILENT,
): Promise<TemplateManifest[]> {
  const { readFolderManifests } = await import('../../workers/render/compileFolder.js')
  return explained(readFolderManifests(workpieceOf(templates, logger)))
}

function workpieceOf(templates: string | TemplateOptions, given: Logger): FolderJob {
  const logger = resolveLogger(check, given)
  return {
    templates: resolveTemplates(check, templates),
    log: (level, fields, message) =>
      typeof fields === 'string'
        ? logger[level]({}, fields)
        : logger[level]({ ...(fields as object) }, String(message)),
  }
}

async function explained<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw new ThreadpostError('TEMPLATE_ERROR', (error as Error).message, { cause: error })
  }
}
