#!/usr/bin/env node
import { styleText } from 'node:util'
import { Command, CommanderError } from 'commander'
import { ThreadpostError } from '../errors.js'
import { benchCommand } from './benchCommand.js'
import { buildCommand } from './buildCommand.js'
import { checkCommand } from './checkCommand.js'
import { doctorCommand } from './doctorCommand.js'
import { inboxCommand } from './inboxCommand.js'
import { initCommand } from './initCommand.js'
import { OWN_PACKAGE } from './settings.js'
import { renderCommand } from './renderCommand.js'
import { sendCommand } from './sendCommand.js'
import { serveCommand } from './serveCommand.js'
import { typesCommand } from './typesCommand.js'
import { workerCommand } from './workerCommand.js'

const FAILED = 1
const CALLED_WRONGLY = 2

const GROUPS: Record<string, Command[]> = {
  'Start:': [initCommand(), typesCommand()],
  'Templates:': [renderCommand(), checkCommand(), buildCommand()],
  'Mail:': [sendCommand(), doctorCommand(), inboxCommand()],
  'Run:': [serveCommand(), workerCommand()],
  'Measure:': [benchCommand()],
}

const program = new Command('threadpost')
  .description('Templated mail from worker threads: render, build and send without slowing the web process.')
  .usage('<command> [options]')
  .version(OWN_PACKAGE.version)
  .showHelpAfterError('(--help shows what can be given)')
  // Commander leaves the styles out where there is no terminal, or NO_COLOR is set.
  .configureHelp({ styleTitle: (title) => styleText('bold', title, { validateStream: false }) })
  .exitOverride()
  .addHelpText(
    'after',
    `
threadpost <command> --help tells more, with examples, defaults and environment variables.
Exit codes: 0 done; ${FAILED} it failed, or something is wrong; ${CALLED_WRONGLY} it was called wrongly.`,
  )
for (const [group, commands] of Object.entries(GROUPS))
  for (const command of commands) program.addCommand(command.copyInheritedSettings(program).helpGroup(group))

// Whoever reads no further, such as `head`, has seen enough: that is no failure of ours.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = tell(error)
}

/**
 * What a user can mend is said in a line; anything else is a defect and shows where it is. With `--json` a program reads it as
 * well: `{ "error": { "code", "message", "path" } }`.
 */
function tell(error: unknown): number {
  if (error instanceof CommanderError) {
    // Commander has told people already.
    if (error.exitCode !== 0) tellProgram('INVALID_OPTIONS', error.message.replace(/^error: /, ''))
    return error.exitCode === 0 ? 0 : CALLED_WRONGLY
  }
  if (error instanceof ThreadpostError) {
    console.error(`threadpost: ${error.message} [${error.code}]`)
    tellProgram(error.code, error.message, error.path)
    return error.code === 'INVALID_OPTIONS' ? CALLED_WRONGLY : FAILED
  }
  if (error instanceof Error && 'syscall' in error && 'code' in error) {
    console.error(`threadpost: ${error.message}`)
    tellProgram(String(error.code), error.message)
    return FAILED
  }
  console.error(error)
  tellProgram('INTERNAL_ERROR', error instanceof Error ? error.message : String(error))
  return FAILED
}

function tellProgram(code: string, message: string, path?: string): void {
  if (process.argv.includes('--json')) console.log(JSON.stringify({ error: { code, message, path } }))
}
