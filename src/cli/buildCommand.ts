import { existsSync, realpathSync } from 'node:fs'
import { Command } from 'commander'
import { ThreadpostError } from '../errors.js'
import { compileTemplates } from '../templates/precompile.js'
import { describeReports } from './checkCommand.js'
import { templateOptions, type TemplateSettings, withTemplateFlags } from './settings.js'
import { lineLogger, progressBar, toned, withExamples } from './terminal.js'

interface BuildSettings extends TemplateSettings {
  out: string
  json?: boolean
}

/** `threadpost build`: compiles templates ahead of time. */
export function buildCommand(): Command {
  const command = new Command('build')
    .summary('compile the templates ahead')
    .description(
      'Compile the templates into a folder. With that folder as --templates no thread loads MJML, and a mailer starts ' +
        'sooner. Nothing is written while a template is wrong.',
    )
    .requiredOption('--out <dir>', 'folder to write; made if it is not there')
    .option('--json', 'print what was found, and whether it was written, as JSON')
  return withExamples(withTemplateFlags(command).action(build), {
    'for a deployment': 'threadpost build --templates ./templates --out ./dist/templates',
    'and run from it':
      'threadpost worker --templates ./dist/templates --queue redis://redis:6379 --transport smtps://…',
  })
}

async function build(settings: BuildSettings): Promise<void> {
  const { out } = settings
  const options = await templateOptions(settings)
  // What is compiled goes before what it was made of: there, later changes would come to nothing.
  if ([out, options.dir].every(existsSync) && realpathSync(out) === realpathSync(options.dir))
    throw new ThreadpostError('INVALID_OPTIONS', '--out: must be another folder than that of the templates')
  const templates = await compileTemplates(options, {
    out,
    logger: lineLogger,
    progress: progressBar(),
  })
  const written = templates.every(({ error }) => error === undefined)
  if (settings.json === true) console.log(JSON.stringify({ written, out, templates }, null, 2))
  else console.log(describeReports(templates))
  if (!written) {
    console.error('threadpost: nothing was written, because of the errors above')
    process.exitCode = 1
  } else if (settings.json !== true) console.log(toned('good', `written to ${out}`))
}
