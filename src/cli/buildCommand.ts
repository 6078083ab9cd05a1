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
    .summary('compile the templates ahead of time')
    .description(
      'Compile the templates into a folder. With that folder as --templates, no thread loads MJML, and the mailer starts ' +
        'faster. If a template has an error, nothing is written.',
    )
    .requiredOption('--out <dir>', 'output folder; created if necessary')
    .option('--json', 'print the reports, and whether the output was written, as JSON')
  return withExamples(withTemplateFlags(command).action(build), {
    'build for a deployment': 'threadpost build --templates ./templates --out ./dist/templates',
    'run from the output':
      'threadpost worker --templates ./dist/templates --queue redis://redis:6379 --transport smtps://…',
  })
}

async function build(settings: BuildSettings): Promise<void> {
  const { out } = settings
  const options = await templateOptions(settings, 'required')
  // Compiled templates take precedence over sources in the same folder, so later changes of a source would have no
  // effect.
  if ([out, options.dir].every(existsSync) && realpathSync(out) === realpathSync(options.dir))
    throw new ThreadpostError('INVALID_OPTIONS', '--out: must be a different folder than the templates')
  const templates = await compileTemplates(options, {
    out,
    logger: lineLogger,
    progress: progressBar(),
  })
  const written = templates.every(({ errors }) => errors.length === 0)
  if (settings.json === true) console.log(JSON.stringify({ written, out, templates }, null, 2))
  else console.log(describeReports(templates))
  if (!written) {
    console.error('threadpost: nothing was written because of the errors above')
    process.exitCode = 1
  } else if (settings.json !== true) console.log(toned('good', `written to ${out}`))
}
