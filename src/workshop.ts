import { ThreadpostError } from './errors.js'
import type { TemplateManifest } from './wire.js'
import type { TemplateReport } from '../workers/render/workshop.js'

export type { TemplateReport }

/**
 * Compiles every template of a folder in the calling thread and says how it went; with `out`, writes them compiled.
 * @throws ThreadpostError `TEMPLATE_ERROR` when the folder can't be read.
 */
export async function compileTemplates(dir: string, out?: string): Promise<TemplateReport[]> {
  const { buildFolder, inspectFolder } = await import('../workers/render/workshop.js')
  try {
    return await (out === undefined ? inspectFolder(dir) : buildFolder(dir, out))
  } catch (error) {
    throw new ThreadpostError('TEMPLATE_ERROR', (error as Error).message, { cause: error })
  }
}

/**
 * What every template of a folder needs, found out in the calling thread.
 * @throws ThreadpostError `TEMPLATE_ERROR` when the folder can't be read.
 */
export async function readManifests(dir: string): Promise<TemplateManifest[]> {
  const { manifestsOf } = await import('../workers/render/workshop.js')
  try {
    return await manifestsOf(dir)
  } catch (error) {
    throw new ThreadpostError('TEMPLATE_ERROR', (error as Error).message, { cause: error })
  }
}
