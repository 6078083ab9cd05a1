import { styleText } from 'node:util'
import type { Command } from 'commander'
import { ThreadpostError } from '../errors.js'
import type { Logger } from '../observe/logger.js'

const TONES = { good: 'green', bad: 'red', fair: 'yellow', faint: 'dim', strong: 'bold' } as const

/** Colours what goes to standard output, on a terminal only; `NO_COLOR` and `FORCE_COLOR` are heeded. */
export function toned(tone: keyof typeof TONES, text: string): string {
  return styleText(TONES[tone], text, { stream: process.stdout })
}

const WIDTH = 24

/** A bar of so many steps done, of so many, and what is at hand: on a terminal only. It goes away when all is done. */
export function progressBar(): (done: number, of: number, now: string) => void {
  if (!process.stderr.isTTY) return () => undefined
  return (done, of, now) => {
    const filled = Math.round((done / of) * WIDTH)
    const bar = `${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)}`
    process.stderr.write(`\r\u001b[K${done === of ? '' : `${bar} ${now}`}`)
  }
}

/** Adds to the help of a command what it is used for: what to type, by what that does. */
export function withExamples(command: Command, examples: Record<string, string>): Command {
  const lines = Object.entries(examples).flatMap(([what, line]) => [`  # ${what}`, `  ${line}`])
  return command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`)
}

/** What a person who runs a process should know, a line each on standard error; not each message. */
export const lineLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: (fields, message) => console.error(`warning: ${message} ${JSON.stringify(fields)}`),
  error: (fields, message) => console.error(`error: ${message} ${JSON.stringify(fields)}`),
}

/** Ends the process in order at the first signal, at once at the second. The library itself installs no handler. */
export function closeOnSignal(close: () => Promise<void>): void {
  let closing = false
  const onSignal = (signal: NodeJS.Signals): void => {
    if (closing) process.exit(1)
    closing = true
    console.error(`${signal}: finishing what is under way; once more ends at once.`)
    close().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error)
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
}

/** What a user can mend where a port can't be had; any other error as it is. */
export function listenError(error: unknown, flag: string, port: number, host: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const why =
    code === 'EADDRINUSE'
      ? 'is in use; take another'
      : code === 'EACCES'
        ? 'may not be used by this user; take one above 1023'
        : undefined
  if (why === undefined) return error
  return new ThreadpostError('INVALID_OPTIONS', `${flag}: ${port} on ${host} ${why}`, {
    path: flag,
    cause: error,
  })
}
