import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { ThreadpostError } from '../errors.js'

/**
 * The file that a kind of thread is started from. It lies in the package: a bundler that copied the rest of it somewhere else
 * left it behind, and in a bundle of CommonJS `import.meta.url` is empty.
 * @throws ThreadpostError `START_FAILED`
 */
export function threadFile(name: 'entry.cjs' | 'outbox.js'): string {
  const here = import.meta.url as string | undefined
  const file = here === undefined ? undefined : fileURLToPath(new URL(`../../workers/${name}`, here))
  if (file !== undefined && existsSync(file)) return file
  throw new ThreadpostError(
    'START_FAILED',
    `The mailer can't start: the file of its threads, ${file ?? `workers/${name}`}, is not there. If threadpost was bundled, leave it out ` +
      "of the bundle and install it beside it: external: ['threadpost'] for esbuild, Rollup and Vite, serverExternalPackages for Next.js",
  )
}
