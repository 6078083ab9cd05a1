import type { Command } from 'commander'

/** Adds to the help of a command what it is used for: what to type, by what that does. */
export function withExamples(command: Command, examples: Record<string, string>): Command {
  const lines = Object.entries(examples).flatMap(([what, line]) => [`  # ${what}`, `  ${line}`])
  return command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`)
}
