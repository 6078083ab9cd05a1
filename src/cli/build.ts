import { Command } from 'commander'
import { compileTemplates } from '../workshop.js'
import { describeReports } from './check.js'
import { lineLogger } from './lineLogger.js'
import { type TemplateSettings, templateOptions, withTemplateFlags } from './settings.js'

interface BuildSettings extends TemplateSettings {
  out: string
}

/** `threadpost build`: compiles templates ahead of time. */
export function buildCommand(): Command {
  const command = new Command('build')
    .description('Compile the templates into a folder; with that folder as --templates no thread loads MJML.')
    .requiredOption('--out <dir>', 'folder to write')
  return withTemplateFlags(command).action(build)
}

async function build(settings: BuildSettings): Promise<void> {
  const reports = await compileTemplates(await templateOptions(settings), settings.out, lineLogger)
  console.log(describeReports(reports))
  if (reports.every(({ error }) => error === undefined)) console.log(`written to ${settings.out}`)
  else {
    console.error('threadpost: nothing was written, because of the errors above')
    process.exitCode = 1
  }
}
