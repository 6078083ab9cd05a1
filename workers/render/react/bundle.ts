import { createRequire } from 'node:module'
import path from 'node:path'
import { whileLoading } from '../../heartbeat.js'
import { contentHash, LruCache } from '../lruCache.js'
import { type SourceFile, TemplateFailure } from '../template/sourceFile.js'

/** The part of esbuild that is used. */
interface Bundler {
  build: (options: Record<string, unknown>) => Promise<{ outputFiles: { text: string }[] }>
}

interface BuildProblem {
  text: string
  location: { file: string; line: number; column: number } | null
}

const MAX_BUNDLES = 200
const bundles = new LruCache<Promise<string>>(MAX_BUNDLES)

/**
 * Bundles a component and the files of the application that it imports into one CommonJS module with its source map. Packages stay
 * outside, so that there is one React. Bundled once for each content: the listing of templates and their compilation share it.
 * @param version differs whenever an imported file may have changed
 * @throws TemplateFailure with file, line, and column
 */
export function bundle(file: SourceFile, version: string): Promise<string> {
  const key = contentHash(file.path ?? '', version, file.text)
  const known = bundles.get(key)
  if (known !== undefined) return known
  const bundling = run(file)
  bundling.catch(() => bundles.delete(key))
  bundles.set(key, bundling)
  return bundling
}

async function run({ name, path: file = name }: SourceFile): Promise<string> {
  const root = file.slice(0, file.length - name.length)
  const { build } = await loadBundler(file, name)
  try {
    const { outputFiles } = await build({
      entryPoints: [file],
      absWorkingDir: root,
      bundle: true,
      write: false,
      format: 'cjs',
      platform: 'node',
      target: 'node20',
      jsx: 'automatic',
      packages: 'external',
      sourcemap: 'inline',
      sourcesContent: false,
      define: { 'process.env.NODE_ENV': '"production"' },
      logLevel: 'silent',
      outfile: path.join(root, 'template.cjs'),
    })
    return outputFiles[0]?.text ?? ''
  } catch (error) {
    throw toFailure(error, name)
  }
}

/** Loads esbuild from where the application has it. This is its only importer; a compiled folder doesn't need it. */
async function loadBundler(file: string, name: string): Promise<Bundler> {
  try {
    return await whileLoading(async () => createRequire(file)('esbuild') as Bundler)
  } catch {
    const own = 'esbuild'
    return whileLoading(() => import(own) as Promise<Bundler>).catch(() => {
      throw new TemplateFailure('TEMPLATE_ERROR', `${name} needs the package esbuild: npm install esbuild`, {
        location: { file: name },
      })
    })
  }
}

function toFailure(error: unknown, name: string): TemplateFailure {
  const [first] = (error as { errors?: BuildProblem[] }).errors ?? []
  if (first === undefined)
    return new TemplateFailure(
      'TEMPLATE_ERROR',
      `${name}: it can't be bundled: ${(error as Error).message}`,
      {
        location: { file: name },
      },
    )
  const { file = name, line = 1, column = 0 } = first.location ?? {}
  return new TemplateFailure('TEMPLATE_ERROR', `${file}:${line}:${column + 1}: ${first.text}`, {
    location: { file, line, column: column + 1 },
  })
}
