import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { ThreadpostError } from '../errors.js'

/**
 * The file that a kind of thread is started from: a bundle, see .ci/bundle.mjs.
 * @throws ThreadpostError `START_FAILED`
 */
export function threadFile(name: 'entry.cjs' | 'outbox.js' | 'listTemplates.js'): string {
  return packagedFile(`workers/threads/${name}`, 'the file of its threads')
}

/**
 * A file of the package that is read at run time. A bundler that copied the rest of the package somewhere else left it behind,
 * and in a CommonJS bundle `import.meta.url` is empty.
 * @param name relative to the compiled package
 * @param role what the file is to the mailer, for the message
 * @throws ThreadpostError `START_FAILED` if it doesn't exist
 */
export function packagedFile(name: string, role: string): string {
  const here = import.meta.url as string | undefined
  const file = here === undefined ? undefined : fileURLToPath(new URL(`../../${name}`, here))
  if (file !== undefined && existsSync(file)) return file
  throw new ThreadpostError(
    'START_FAILED',
    `The mailer can't start: ${role}, ${file ?? name}, does not exist. If threadpost was bundled, leave it out ` +
      "of the bundle and install it next to the bundle: external: ['threadpost'] for esbuild, Rollup, and Vite, serverExternalPackages for Next.js",
  )
}

/** Options of a thread that is started from a file. It inherits the flags of its process, and with `--input-type` it couldn't start. */
export function threadFlags(): { execArgv?: string[] } {
  return process.execArgv.some((flag) => flag.startsWith('--input-type')) ? { execArgv: [] } : {}
}
