import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import { Command } from 'commander'
import { ThreadpostError } from '../errors.js'
import { readManifests } from '../templates/precompile.js'
import { generateTypeDeclarations } from '../templates/typeDeclarations.js'
import { OWN_PACKAGE, OWN_TEMPLATES } from './settings.js'
import { toned, withExamples } from './terminal.js'

/** Returns the files that `threadpost init` writes next to package.json, by path. */
async function starterFiles(): Promise<Map<string, Buffer | string>> {
  const files = new Map<string, Buffer | string>()
  files.set('server.mjs', await readFile(new URL('./starter/server.mjs', import.meta.url)))
  files.set('threadpost.d.ts', generateTypeDeclarations(await readManifests(OWN_TEMPLATES)))
  files.set('jsconfig.json', `${JSON.stringify(JSCONFIG, null, 2)}\n`)
  for (const name of await readdir(OWN_TEMPLATES, { recursive: true })) {
    if (name === DOCUMENTATION) continue
    const file = path.join(OWN_TEMPLATES, name)
    if ((await stat(file)).isFile()) files.set(path.join('templates', name), await readFile(file))
  }
  return files
}

/** Documentation of the template folder, which is not part of an application. */
const DOCUMENTATION = 'README.md'

/** Configuration with which an editor type-checks the server. */
const JSCONFIG = {
  compilerOptions: { checkJs: true, strict: true, module: 'nodenext', target: 'es2023', skipLibCheck: true },
  include: ['*.mjs', 'threadpost.d.ts'],
}

interface PackageJson {
  scripts?: Record<string, string>
  dependencies?: Record<string, string>
  devDependencies?: Record<string, string>
  [field: string]: unknown
}

/**
 * Adds the scripts and dependencies of the server to a package.json. Existing values stay.
 * @param text content of the file; undefined creates a new one
 * @throws SyntaxError if the content is not JSON
 */
function completeManifest(text: string | undefined, name: string): string {
  const manifest = (
    text === undefined ? { name, private: true, type: 'module' } : JSON.parse(text)
  ) as PackageJson
  const scripts = { start: 'node server.mjs', types: 'threadpost types', ...manifest.scripts }
  const dependencies = {
    express: OWN_PACKAGE.dependencies.express,
    threadpost: `^${OWN_PACKAGE.version}`,
    ...manifest.dependencies,
  }
  // Without hoisting, an editor finds the types of Express only as a direct dependency.
  const devDependencies = {
    '@types/express': OWN_PACKAGE.dependencies['@types/express'],
    ...manifest.devDependencies,
  }
  const indent = /^[ \t]+/m.exec(text ?? '')?.[0] ?? '  '
  return `${JSON.stringify({ ...manifest, scripts, dependencies, devDependencies }, null, indent)}\n`
}

interface InitSettings {
  force?: boolean
  json?: boolean
}

/** Result for one file. */
interface Step {
  file: string
  done: 'written' | 'kept' | 'completed'
}

/** `threadpost init`: creates an application that sends mail. */
export function initCommand(): Command {
  const command = new Command('init')
    .summary('set up a folder with templates, an Express server, and types')
    .description(
      'Set up a folder with templates, an Express server that sends a welcome mail to each new user, and types with which ' +
        'your editor checks each mail. Missing scripts and dependencies are added to package.json. Existing files stay unchanged.',
    )
    .argument('[dir]', 'folder; created if necessary', '.')
    .option('--force', 'overwrite existing files, except package.json')
    .option('--json', 'print the result as JSON')
    .action(init)
  return withExamples(command, {
    'use this folder, after npm init -y and npm install threadpost': 'threadpost init',
    'create a new folder, without installing anything first': 'npx threadpost init my-app',
  })
}

async function init(dir: string, { force = false, json = false }: InitSettings): Promise<void> {
  const steps = [await completePackage(dir)]
  const hasConfig = existsSync(path.join(dir, 'tsconfig.json'))
  for (const [name, content] of await starterFiles()) {
    if (name === 'jsconfig.json' && hasConfig) continue
    const file = path.join(dir, name)
    const kept = existsSync(file) && !force
    if (!kept) {
      await mkdir(path.dirname(file), { recursive: true })
      await writeFile(file, content)
    }
    steps.push({ file: name, done: kept ? 'kept' : 'written' })
  }
  const next = nextSteps(dir)
  if (json) console.log(JSON.stringify({ dir: path.resolve(dir), steps, next }, null, 2))
  else console.log([...steps.map(describe), '', 'Next:', ...next.map((line) => `  ${line}`)].join('\n'))
}

async function completePackage(dir: string): Promise<Step> {
  const file = path.join(dir, 'package.json')
  await mkdir(dir, { recursive: true })
  const before = existsSync(file) ? await readFile(file, 'utf8') : undefined
  let after
  try {
    after = completeManifest(before, path.basename(path.resolve(dir)))
  } catch (error) {
    throw new ThreadpostError(
      'INVALID_OPTIONS',
      `package.json: ${file} is not JSON: ${(error as Error).message}; fix it first`,
      { cause: error },
    )
  }
  if (after === before) return { file: 'package.json', done: 'kept' }
  await writeFile(file, after)
  return { file: 'package.json', done: before === undefined ? 'written' : 'completed' }
}

function nextSteps(dir: string): string[] {
  const manager = /^(?:pnpm|yarn|bun)/.exec(process.env['npm_config_user_agent'] ?? '')?.[0] ?? 'npm'
  return [
    ...(path.resolve(dir) === process.cwd() ? [] : [`cd ${dir}`]),
    ...(isInstalled(dir) ? [] : [`${manager} install`]),
    `${manager} start`.padEnd(32) + '# then open http://127.0.0.1:3000, sign up, and see the mail at /inbox',
    'npx threadpost types --watch'.padEnd(32) + '# keeps the types up to date while you edit templates',
    'npx threadpost --help'.padEnd(32) + '# shows all commands',
  ]
}

function isInstalled(dir: string): boolean {
  const { resolve } = createRequire(path.resolve(dir, 'package.json'))
  try {
    return [resolve('threadpost/package.json'), resolve('express')].length === 2
  } catch {
    return false
  }
}

function describe({ file, done }: Step): string {
  const note = done === 'kept' ? toned('faint', '  (already exists)') : ''
  return `${toned(done === 'kept' ? 'faint' : 'good', done.padEnd(10))} ${file}${note}`
}
