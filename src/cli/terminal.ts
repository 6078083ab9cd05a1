import { styleText } from 'node:util'
import type { Command } from 'commander'
import type { Logger } from '../logging/logger.js'

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
