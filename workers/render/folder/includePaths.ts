import path from 'node:path'
import type { SourceFile } from '../template/source.js'

/** Which file of the folder an `mj-include` means. Names only: what is not among the files read can't be included. */
export function includeFrom(
  files: ReadonlyMap<string, SourceFile>,
): (from: string, asked: string) => SourceFile | { refused: string } {
  return (from, asked) => {
    if (
      asked.includes('\0') ||
      asked.includes('\\') ||
      /^(?:[a-z]:|\/|~)/i.test(asked) ||
      asked.includes('%')
    )
      return { refused: 'is refused: a path here is relative and stays in the template folder' }
    const name = path.posix.join(path.posix.dirname(from), asked)
    if (name.startsWith('..')) return { refused: 'is refused: it leads out of the template folder' }
    return (
      files.get(name) ??
      files.get(`${name}.mjml`) ?? { refused: `finds no file '${name}' in the template folder` }
    )
  }
}
