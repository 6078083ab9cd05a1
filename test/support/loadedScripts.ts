import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = path.resolve(import.meta.dirname, '../..')

/** Notes every script that is parsed from here on. */
const LISTEN = `
import { Session } from 'node:inspector'
const session = new Session()
session.connect()
const scripts = []
session.on('Debugger.scriptParsed', ({ params }) => scripts.push(params.url))
session.post('Debugger.enable')
`

export interface Run {
  /** Of the JavaScript: ESM that leaves what it found in `result`. */
  code: string
  /** The arguments that it finds from `process.argv[2]` on. */
  args?: string[]
  /** Flags for Node. */
  flags?: string[]
}

/**
 * Runs code in a process of its own, inside the package, so that it imports the package by name like an application.
 * @returns what it left in `result`, and the URLs of the scripts that its main thread parsed
 */
export async function loadedScripts({
  code,
  args = [],
  flags = [],
}: Run): Promise<{ result: unknown; scripts: string[] }> {
  const whole = `${LISTEN}let result\n${code}\nconsole.log(JSON.stringify({ result, scripts }))`
  const { stdout } = await run(
    process.execPath,
    [...flags, '--input-type=module', '-e', whole, 'x', ...args],
    { cwd: root },
  )
  return JSON.parse(stdout) as { result: unknown; scripts: string[] }
}
