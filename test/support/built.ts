import path from 'node:path'
import { pathToFileURL } from 'node:url'
import type * as Sqlite from '../../src/queue/sqlite/driver.js'

const dist = path.resolve(import.meta.dirname, '../../dist')

/** Path of a compiled file: what starts threads must be run from where their files lie. */
export function builtFile(file: string): string {
  return path.join(dist, file)
}

/** The compiled SQLite driver, its thread beside it. */
export async function builtSqlite(): Promise<typeof Sqlite> {
  return (await import(pathToFileURL(builtFile('src/queue/sqlite/driver.js')).href)) as typeof Sqlite
}
