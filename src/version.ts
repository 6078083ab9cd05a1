import { readFileSync } from 'node:fs'
import { parseJson } from './protocol/parseJson.js'
import { packagedFile } from './protocol/threadFile.js'

let known: string | undefined

/** Returns the version of this package. */
export function ownVersion(): string {
  if (known === undefined) {
    const text = readFileSync(packagedFile('../package.json', 'its package.json'), 'utf8')
    known = (parseJson(text) as { version: string }).version
  }
  return known
}
