import { styleText } from 'node:util'
import type { Command } from 'commander'
import { ThreadpostError } from '../errors.js'
import type { Logger } from '../logging/logger.js'

const TONES = { good: 'green', bad: 'red', fair: 'yellow', faint: 'dim', strong: 'bold' } as const

/** Colors text for standard output on a terminal. Honors `NO_COLOR` and `FORCE_COLOR`. */
export function toned(tone: keyof typeof TONES, text: string): string {
  return styleText(TONES[tone], text, { stream: process.stdout })
}

/** Characters of the progress bar. */
const WIDTH = 24

/**
 * Returns a function that draws a progress bar on standard error, on a terminal only. The bar disappears at the end.
 */
export function progressBar(): (done: number, total: number, step: string) => void {
  if (!process.stderr.isTTY) return () => undefined
  return (done, total, step) => {
    const filled = Math.round((done / total) * WIDTH)
    const bar = `${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)}`
    process.stderr.write(`\r\u001b[K${done === total ? '' : `${bar} ${step}`}`)
  }
}

/** Adds examples to the help of a command. @param examples command lines by description */
export function withExamples(command: Command, examples: Record<string, string>): Command {
  const lines = Object.entries(examples).flatMap(([description, line]) => [`  # ${description}`, `  ${line}`])
  return command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`)
}

/** Logs warnings and errors to standard error, one per line. It omits the entries for individual messages. */
export const lineLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: (fields, message) => console.error(`warning: ${message} ${JSON.stringify(fields)}`),
  error: (fields, message) => console.error(`error: ${message} ${JSON.stringify(fields)}`),
}

/**
 * Exits gracefully on the first SIGTERM or SIGINT, and immediately on the second. The library itself installs no signal
 * handlers.
 */
export function closeOnSignal(close: () => Promise<void>): void {
  let closing = false
  const onSignal = (signal: NodeJS.Signals): void => {
    if (closing) process.exit(1)
    closing = true
    console.error(`${signal}: finishing work in progress. Repeat the signal to exit immediately.`)
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

/** Converts the error of a port that can't be opened to one that names the flag; returns other errors unchanged. */
export function listenError(error: unknown, flag: string, port: number, host: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const reason =
    code === 'EADDRINUSE'
      ? 'is in use; choose another port'
      : code === 'EACCES'
        ? 'requires more privileges; choose a port above 1023'
        : undefined
  if (reason === undefined) return error
  return new ThreadpostError('INVALID_OPTIONS', `${flag}: ${port} on ${host} ${reason}`, {
    path: flag,
    cause: error,
  })
}
