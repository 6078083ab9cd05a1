import path from 'node:path'
import { pathToFileURL } from 'node:url'

const dist = path.resolve(import.meta.dirname, '../../dist')

/** Path of a compiled file: what starts threads must be run from where their files lie. */
export function builtFile(file: string): string {
  return path.join(dist, file)
}

/** The compiled SQLite driver; it is the source's, with its thread beside it. */
export function builtSqlite(): Promise<typeof import('../../src/queue/sqlite.js')> {
  return import(pathToFileURL(builtFile('src/queue/sqlite.js')).href) as Promise<
    typeof import('../../src/queue/sqlite.js')
  >
}
