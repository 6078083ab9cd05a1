import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { ThreadpostError } from '../errors.js'
import { parseJson } from '../protocol/parseJson.js'
import { isPlainObject } from '../validation.js'

/** The fields of an application's package.json that `threadpost init` reads. */
export interface PackageJson {
  type?: string
  packageManager?: string
  scripts?: Record<string, string>
  dependencies?: Record<string, string>
  devDependencies?: Record<string, string>
  [field: string]: unknown
}

const MANAGERS = ['npm', 'pnpm', 'yarn', 'bun'] as const
export type PackageManager = (typeof MANAGERS)[number]

const LOCK_FILES: Record<string, PackageManager> = {
  'package-lock.json': 'npm',
  'pnpm-lock.yaml': 'pnpm',
  'pnpm-workspace.yaml': 'pnpm',
  'yarn.lock': 'yarn',
  'bun.lock': 'bun',
  'bun.lockb': 'bun',
}

/** The TypeScript configuration of a project, as far as it decides where files belong. */
export interface TypeScriptFacts {
  /** The folder for the server and the types, relative to the project: `src` or `.`. */
  folder: string
  /** `ts`, or `mts` where a `.ts` file would be CommonJS and the configuration forbids `import` in it. */
  extension: 'ts' | 'mts'
  /** Whether the configuration includes every file of the folder. */
  isIncluded: boolean
}

/** An existing project, or an empty folder. */
export interface ProjectFacts {
  manager: PackageManager
  /** Text of package.json; undefined if there is none. */
  text?: string
  manifest: PackageJson
  typescript?: TypeScriptFacts
  /** Whether the project uses Express 4. */
  usesExpress4: boolean
}

/** Reads what a project is made of. @throws ThreadpostError `INVALID_OPTIONS` if package.json is not JSON */
export function readProject(dir: string): ProjectFacts {
  const file = path.join(dir, 'package.json')
  const text = existsSync(file) ? readFileSync(file, 'utf8') : undefined
  const manifest = text === undefined ? {} : parseManifest(file, text)
  const isNew = text === undefined
  const typescript = typescriptOf(dir, isNew || manifest.type === 'module')
  return {
    manager: managerOf(dir, manifest),
    ...(text === undefined ? {} : { text }),
    manifest,
    ...(typescript === undefined ? {} : { typescript }),
    usesExpress4: usesExpress4(dir, manifest),
  }
}

function parseManifest(file: string, text: string): PackageJson {
  try {
    const manifest: unknown = parseJson(text)
    if (isPlainObject(manifest)) return manifest
    throw new Error('it must contain an object')
  } catch (error) {
    throw new ThreadpostError(
      'INVALID_OPTIONS',
      `package.json: ${file} is not JSON: ${(error as Error).message}; fix it first`,
      { cause: error },
    )
  }
}

/** The manager whose lock file is there, in this folder or in the workspace around it; or the one that runs the command. */
function managerOf(dir: string, { packageManager }: PackageJson): PackageManager {
  const named = MANAGERS.find((name) => packageManager?.startsWith(`${name}@`))
  if (named !== undefined) return named
  for (let folder = path.resolve(dir); ; folder = path.dirname(folder)) {
    for (const [name, manager] of Object.entries(LOCK_FILES))
      if (existsSync(path.join(folder, name))) return manager
    if (folder === path.dirname(folder)) break
  }
  const agent = process.env['npm_config_user_agent'] ?? ''
  return MANAGERS.find((name) => agent.startsWith(`${name}/`)) ?? 'npm'
}

function usesExpress4(dir: string, { dependencies, devDependencies }: PackageJson): boolean {
  const range = dependencies?.['express'] ?? devDependencies?.['express']
  if (range === undefined) return false
  const major = /^[~^=v]*(\d+)/.exec(range)?.[1]
  if (major !== undefined) return major === '4'
  // A range such as `latest` or `workspace:*` doesn't say; the installed version does.
  try {
    const require = createRequire(path.resolve(dir, 'package.json'))
    return (require('express/package.json') as { version: string }).version.startsWith('4.')
  } catch {
    return false
  }
}

function typescriptOf(dir: string, isModule: boolean): TypeScriptFacts | undefined {
  const file = path.join(dir, 'tsconfig.json')
  if (!existsSync(file)) return undefined
  const config = parseConfig(readFileSync(file, 'utf8'))
  const included = Array.isArray(config['include'])
    ? config['include'].filter((entry) => typeof entry === 'string').map(folderOf)
    : Array.isArray(config['files']) || 'references' in config || 'extends' in config
      ? []
      : ['.']
  const preferred = existsSync(path.join(dir, 'src')) ? 'src' : '.'
  const folder = included.includes('.')
    ? preferred
    : (included.find((entry) => entry !== undefined) ?? preferred)
  const compiler = isPlainObject(config['compilerOptions']) ? config['compilerOptions'] : {}
  return {
    folder,
    extension: !isModule && compiler['verbatimModuleSyntax'] === true ? 'mts' : 'ts',
    isIncluded: included.includes(folder) || included.includes('.'),
  }
}

/** The folder of which an entry of `include` selects every file; undefined if it selects only some. */
function folderOf(entry: string): string | undefined {
  const folder = entry
    .replace(/^\.\//, '')
    .replace(/(^|\/)\*\*(\/\*(\.ts)?)?$|(^|\/)\*(\.ts)?$/, '')
    .replace(/\/$/, '')
  if (folder === '' || folder === '.') return '.'
  return /[*?]|\.[cm]?tsx?$/.test(folder) || folder.startsWith('..') ? undefined : folder
}

/** Parses JSON with comments and trailing commas, as TypeScript does. A file that can't be parsed has no settings. */
function parseConfig(text: string): Record<string, unknown> {
  const plain = text
    .replace(/("(?:[^"\\]|\\.)*")|\/\/[^\n]*|\/\*[^]*?\*\//g, (_, string: string | undefined) => string ?? '')
    .replace(/("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])/g, (_, string: string | undefined) => string ?? '')
  try {
    const config: unknown = parseJson(plain)
    return isPlainObject(config) ? config : {}
  } catch {
    return {}
  }
}
