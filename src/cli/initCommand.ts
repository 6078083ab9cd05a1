import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import { Command } from 'commander'
import { ThreadpostError } from '../errors.js'
import { readManifests } from '../templates/precompile.js'
import { generateTypeDeclarations } from '../templates/typeDeclarations.js'
import { OWN_PACKAGE, OWN_TEMPLATES } from './ownPackage.js'
import { toned, withExamples } from './terminal.js'

/** The files that `threadpost init` sets up beside package.json: their content by their path. */
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

/** The chapter about templates is in their folder, but is not part of an application. */
const DOCUMENTATION = 'README.md'

/** Lets an editor check the server as it would check TypeScript. */
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
 * A package.json with what the server needs; what it has stays.
 * @param text the file as it is, or undefined for a new one
 * @throws SyntaxError when it is not JSON
 */
function packageWith(text: string | undefined, name: string): string {
  const given = (
    text === undefined ? { name, private: true, type: 'module' } : JSON.parse(text)
  ) as PackageJson
  const scripts = { start: 'node server.mjs', types: 'threadpost types', ...given.scripts }
  const dependencies = {
    express: OWN_PACKAGE.dependencies.express,
    threadpost: `^${OWN_PACKAGE.version}`,
    ...given.dependencies,
  }
  // Where packages aren't hoisted, an editor finds the types of Express only as a dependency of one's own.
  const devDependencies = {
    '@types/express': OWN_PACKAGE.dependencies['@types/express'],
    ...given.devDependencies,
  }
  const indent = /^[ \t]+/m.exec(text ?? '')?.[0] ?? '  '
  return `${JSON.stringify({ ...given, scripts, dependencies, devDependencies }, null, indent)}\n`
}

interface InitSettings {
  force?: boolean
  json?: boolean
}

/** What became of a file. */
interface Step {
  file: string
  done: 'written' | 'kept' | 'completed'
}

/** `threadpost init`: a folder that sends mail. */
export function initCommand(): Command {
  const command = new Command('init')
    .summary('set a folder up: templates, an Express server, types')
    .description(
      'Set a folder up: templates, an Express server that sends one of them to who signs up, and types, so that your editor ' +
        'checks what is sent. package.json gets what it lacks. A file that is there stays as it is.',
    )
    .argument('[dir]', 'folder; made if it is not there', '.')
    .option('--force', 'overwrite files that are there, but never package.json')
    .option('--json', 'print what was done as JSON')
    .action(init)
  return withExamples(command, {
    'here, after npm init -y and npm install threadpost': 'threadpost init',
    'in a folder of its own, without installing anything before': 'npx threadpost init my-app',
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
    after = packageWith(before, path.basename(path.resolve(dir)))
  } catch (error) {
    throw new ThreadpostError(
      'INVALID_OPTIONS',
      `package.json: ${file} is not JSON: ${(error as Error).message}; mend it first`,
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
    `${manager} start`.padEnd(32) + '# open http://127.0.0.1:3000, sign up, and see the mail at /inbox',
    'npx threadpost types --watch'.padEnd(32) + '# while you edit templates, so that your editor knows them',
    'npx threadpost --help'.padEnd(32) + '# what else there is',
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
  const note = done === 'kept' ? toned('faint', '  (it was there)') : ''
  return `${toned(done === 'kept' ? 'faint' : 'good', done.padEnd(10))} ${file}${note}`
}
