#!/usr/bin/env node
import path from 'node:path'
import { styleText } from 'node:util'
import { Command, CommanderError } from 'commander'
import { ThreadpostError } from '../errors.js'
import { EX, FAILED, USAGE_ERROR } from './exitCodes.js'
import { OWN_PACKAGE } from './settings.js'

/** The groups of `--help`, with their subcommands. */
const GROUPS: Record<string, Record<string, () => Promise<Command>>> = {
  'Start:': {
    init: async () => (await import('./initCommand.js')).initCommand(),
    types: async () => (await import('./typesCommand.js')).typesCommand(),
  },
  'Templates:': {
    render: async () => (await import('./renderCommand.js')).renderCommand(),
    check: async () => (await import('./checkCommand.js')).checkCommand(),
    build: async () => (await import('./buildCommand.js')).buildCommand(),
  },
  'Mail:': {
    send: async () => (await import('./sendCommand.js')).sendCommand(),
    sendmail: async () => (await import('./sendmailCommand.js')).sendmailCommand(),
    doctor: async () => (await import('./doctorCommand.js')).doctorCommand(),
    inbox: async () => (await import('./inboxCommand.js')).inboxCommand(),
  },
  'Run:': {
    serve: async () => (await import('./serveCommand.js')).serveCommand(),
    worker: async () => (await import('./workerCommand.js')).workerCommand(),
    migrate: async () => (await import('./migrateCommand.js')).migrateCommand(),
    move: async () => (await import('./moveCommand.js')).moveCommand(),
    erase: async () => (await import('./eraseCommand.js')).eraseCommand(),
  },
  'Measure:': {
    bench: async () => (await import('./benchCommand.js')).benchCommand(),
  },
}

/** The arguments. A link named `sendmail` is that subcommand, in the place where programs look for it. */
const argv = [...process.argv]
if (path.basename(argv[1] ?? '') === 'sendmail') argv.splice(2, 0, 'sendmail')
const [, , name = ''] = argv
const named = Object.values(GROUPS).some((commands) => Object.hasOwn(commands, name))

const program = new Command('threadpost')
  .description(
    'Templated mail from worker threads: rendered, built, and sent without slowing down your web process.',
  )
  .usage('<command> [options]')
  .version(OWN_PACKAGE.version)
  .showHelpAfterError('(run with --help for usage)')
  // Commander removes the styles if there is no terminal or NO_COLOR is set.
  .configureHelp({ styleTitle: (title) => styleText('bold', title, { validateStream: false }) })
  .exitOverride()
  .addHelpText(
    'after',
    `
Run threadpost <command> --help for flags, defaults, environment variables, and examples.
Exit codes: 0 success; ${FAILED} the command failed or found a problem; ${USAGE_ERROR} wrong usage.`,
  )
// Only the named subcommand is loaded, or none for the version: all of them would take longer than most of them run.
const loadsAll = !named && !['-V', '--version'].includes(name)
for (const [group, commands] of Object.entries(GROUPS))
  for (const [each, load] of Object.entries(commands))
    if (loadsAll || each === name)
      program.addCommand((await load()).copyInheritedSettings(program).helpGroup(group))

// An empty environment variable counts as unset, and a switch that is set to "false" is off.
for (const option of program.commands.flatMap(({ options }) => options)) {
  const { envVar = '' } = option
  const off = option.isBoolean() ? /^(?:0|false|no|off)?$/i : /^$/
  if (off.test(process.env[envVar] ?? '')) Reflect.deleteProperty(process.env, envVar)
}

// A reader such as `head` may close the pipe early, which is not an error.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })

try {
  await program.parseAsync(argv)
} catch (error) {
  process.exitCode = reportError(error)
}

/**
 * Prints an error and returns the exit code. An error that the user can fix takes one line; any other is a defect and
 * is printed with its stack. With `--json`, also prints `{ "error": { "code", "message", "path" } }`.
 */
function reportError(error: unknown): number {
  if (error instanceof CommanderError) {
    // Commander has already printed the message.
    if (error.exitCode !== 0) printJsonError('INVALID_OPTIONS', error.message.replace(/^error: /, ''))
    if (error.exitCode === 0) return 0
    return argv[2] === 'sendmail' ? EX.USAGE : USAGE_ERROR
  }
  if (error instanceof ThreadpostError) {
    console.error(`threadpost: ${error.message} [${error.code}]`)
    printJsonError(error.code, error.message, error.path)
    return error.code === 'INVALID_OPTIONS' ? USAGE_ERROR : FAILED
  }
  if (error instanceof Error && 'syscall' in error && 'code' in error) {
    console.error(`threadpost: ${error.message}`)
    printJsonError(String(error.code), error.message)
    return FAILED
  }
  console.error(error)
  printJsonError('INTERNAL_ERROR', error instanceof Error ? error.message : String(error))
  return FAILED
}

function printJsonError(code: string, message: string, path?: string): void {
  if (process.argv.includes('--json')) console.log(JSON.stringify({ error: { code, message, path } }))
}
