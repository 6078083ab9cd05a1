#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { ThreadpostError } from '../errors.js'
import { benchCommand } from './bench.js'
import { buildCommand } from './build.js'
import { checkCommand } from './check.js'
import { doctorCommand } from './doctor.js'
import { inboxCommand } from './inbox.js'
import { renderCommand } from './render.js'
import { sendCommand } from './send.js'
import { serveCommand } from './serve.js'
import { typesCommand } from './types.js'
import { workerCommand } from './worker.js'

const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
  version: string
}

const program = new Command('threadpost')
  .description('Templated mail from worker threads: render, build and send without slowing the web process.')
  .version(version)
  .showHelpAfterError()
  .addCommand(serveCommand())
  .addCommand(workerCommand())
  .addCommand(sendCommand())
  .addCommand(inboxCommand())
  .addCommand(renderCommand())
  .addCommand(checkCommand())
  .addCommand(buildCommand())
  .addCommand(typesCommand())
  .addCommand(doctorCommand())
  .addCommand(benchCommand())

try {
  await program.parseAsync()
} catch (error) {
  // What a user can mend is said in a line; anything else is a defect and shows where it is.
  if (error instanceof ThreadpostError) console.error(`threadpost: ${error.message} [${error.code}]`)
  else console.error(error)
  process.exitCode = 1
}
