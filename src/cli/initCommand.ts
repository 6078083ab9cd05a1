import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import { Command } from 'commander'
import { readManifests } from '../templates/precompile.js'
import { generateTypeDeclarations } from '../templates/typeDeclarations.js'
import { type PackageJson, type PackageManager, type ProjectFacts, readProject } from './projectFacts.js'
import { OWN_PACKAGE, OWN_TEMPLATES } from './settings.js'
import { toned, withExamples } from './terminal.js'

/** The files and scripts that `threadpost init` adds to a project. */
interface Plan {
  server: string
  types: string
  start: string
  /** The name of the script that starts the server: `start`, unless the project has another one of that name. */
  script: string
  devDependencies: Record<string, string>
}

/** Documentation of the template folder, which is not part of an application. */
const DOCUMENTATION = 'README.md'
const OTHER_SCRIPT = 'start:mail'

/** Versions of packages that the server needs in some projects. */
const TSX = '^4.20.0'
const EXPRESS_4_TYPES = '^4.17.25'

/** Configuration with which an editor type-checks the server. */
const JSCONFIG = {
  compilerOptions: { checkJs: true, strict: true, module: 'nodenext', target: 'es2023', skipLibCheck: true },
  include: ['*.mjs', 'threadpost.d.ts'],
}

function planFor({ manifest, typescript, usesExpress4 }: ProjectFacts): Plan {
  const inFolder = (name: string): string => path.posix.join(typescript?.folder ?? '.', name)
  const server = inFolder(`server.${typescript?.extension ?? 'mjs'}`)
  // Node runs TypeScript itself from 22.18 on.
  const needsTsx =
    typescript !== undefined && !('typescript' in process.features && process.features.typescript)
  const start = `${needsTsx ? 'tsx' : 'node'} ${server}`
  const existing = manifest.scripts?.['start']
  return {
    server,
    types: inFolder('threadpost.d.ts'),
    start,
    script: existing === undefined || existing === start ? 'start' : OTHER_SCRIPT,
    devDependencies: {
      // Without hoisting, an editor finds the types of Express only as a direct dependency.
      '@types/express': usesExpress4 ? EXPRESS_4_TYPES : OWN_PACKAGE.devDependencies['@types/express'],
      ...(needsTsx ? { tsx: TSX } : {}),
    },
  }
}

/** Returns the files next to package.json, by path. */
async function starterFiles({ typescript }: ProjectFacts, plan: Plan): Promise<Map<string, Buffer | string>> {
  const files = new Map<string, Buffer | string>()
  const server = await readFile(new URL('./starter/server.mjs', import.meta.url), 'utf8')
  files.set(plan.server, typescript === undefined ? server : asTypeScript(server))
  files.set(plan.types, generateTypeDeclarations(await readManifests(OWN_TEMPLATES)))
  if (typescript === undefined) files.set('jsconfig.json', `${JSON.stringify(JSCONFIG, null, 2)}\n`)
  for (const name of await readdir(OWN_TEMPLATES, { recursive: true })) {
    if (name === DOCUMENTATION) continue
    const file = path.join(OWN_TEMPLATES, name)
    if ((await stat(file)).isFile()) files.set(path.join('templates', name), await readFile(file))
  }
  return files
}

/** Moves the types of the server from JSDoc comments into the code. */
function asTypeScript(source: string): string {
  return source
    .replace('// @ts-check\n', '')
    .replace("import express from 'express'", "import express, { type ErrorRequestHandler } from 'express'")
    .replace('/** @param {string} content */\nconst page = (content)', 'const page = (content: string)')
    .replace(
      /^ *\/\*\* @type \{import\('express'\)\.ErrorRequestHandler\} \*\/\n( *)const lastResort =/m,
      '$1const lastResort: ErrorRequestHandler =',
    )
}

/** Adds the scripts and dependencies of the server to a package.json. Existing values stay. */
function completeManifest({ manifest, text }: ProjectFacts, plan: Plan, name: string): string {
  const base: PackageJson = text === undefined ? { name, private: true, type: 'module' } : manifest
  const typesFlag = plan.types === 'threadpost.d.ts' ? '' : ` --out ${plan.types}`
  const completed = {
    ...base,
    scripts: { [plan.script]: plan.start, types: `threadpost types${typesFlag}`, ...base.scripts },
    dependencies: {
      express: OWN_PACKAGE.dependencies.express,
      threadpost: `^${OWN_PACKAGE.version}`,
      ...base.dependencies,
    },
    devDependencies: { ...plan.devDependencies, ...base.devDependencies },
  }
  const indent = /^[ \t]+/m.exec(text ?? '')?.[0] ?? '  '
  return `${JSON.stringify(completed, null, indent)}\n`
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
        'your editor checks each mail. In a TypeScript project, the server is written in TypeScript. Missing scripts and ' +
        'dependencies are added to package.json. Existing files stay unchanged.',
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
  await mkdir(dir, { recursive: true })
  const project = readProject(dir)
  const plan = planFor(project)
  const steps = [await writeManifest(dir, project, plan)]
  for (const [name, content] of await starterFiles(project, plan)) {
    const file = path.join(dir, name)
    const kept = existsSync(file) && !force
    if (!kept) {
      await mkdir(path.dirname(file), { recursive: true })
      await writeFile(file, content)
    }
    steps.push({ file: path.normalize(name), done: kept ? 'kept' : 'written' })
  }
  const notes = notesOn(project, plan)
  const next = nextSteps(dir, project, plan)
  if (json) console.log(JSON.stringify({ dir: path.resolve(dir), steps, notes, next }, null, 2))
  else
    console.log(
      [
        ...steps.map(describe),
        ...notes.map((note) => `\n${toned('fair', 'Note:')} ${note}`),
        '',
        'Next:',
        ...next.map((line) => `  ${line}`),
      ].join('\n'),
    )
}

async function writeManifest(dir: string, project: ProjectFacts, plan: Plan): Promise<Step> {
  const { text } = project
  const after = completeManifest(project, plan, path.basename(path.resolve(dir)))
  if (after === text) return { file: 'package.json', done: 'kept' }
  await writeFile(path.join(dir, 'package.json'), after)
  return { file: 'package.json', done: text === undefined ? 'written' : 'completed' }
}

/** The changes that the user should make, because init changes no existing setting. */
function notesOn({ typescript }: ProjectFacts, { types, script }: Plan): string[] {
  const notes: string[] = []
  if (typescript !== undefined && !typescript.isIncluded)
    notes.push(
      `add "${types}" to "include" in the tsconfig.json of the code that sends mail; otherwise TypeScript accepts any template name`,
    )
  if (script !== 'start')
    notes.push(`"start" in package.json is unchanged; the script "${script}" starts the new server`)
  return notes
}

const RUN: Record<PackageManager, { run: string; exec: string }> = {
  npm: { run: 'npm run', exec: 'npx' },
  pnpm: { run: 'pnpm', exec: 'pnpm exec' },
  yarn: { run: 'yarn', exec: 'yarn' },
  bun: { run: 'bun run', exec: 'bunx' },
}

function nextSteps(dir: string, { manager, manifest }: ProjectFacts, plan: Plan): string[] {
  const { run, exec } = RUN[manager]
  const start = manager === 'npm' && plan.script === 'start' ? 'npm start' : `${run} ${plan.script}`
  const types =
    manifest.scripts?.['types'] === undefined
      ? `${run} types${manager === 'npm' ? ' --' : ''} --watch`
      : `${exec} threadpost types --out ${plan.types} --watch`
  const lines = [
    ...(path.resolve(dir) === process.cwd() ? [] : [[`cd ${dir}`, '']]),
    ...(isInstalled(dir, plan) ? [] : [[`${manager} install`, '']]),
    ...(manager === 'pnpm'
      ? [['pnpm approve-builds', 'allows better-sqlite3, which the sqlite: queue needs']]
      : []),
    [start, 'then open http://127.0.0.1:3000, sign up, and see the mail at /inbox'],
    [types, 'keeps the types up to date while you edit templates'],
    [`${exec} threadpost --help`, 'shows all commands'],
  ]
  return lines.map(([command = '', note = '']) => (note === '' ? command : `${command.padEnd(34)} # ${note}`))
}

function isInstalled(dir: string, { devDependencies }: Plan): boolean {
  const { resolve } = createRequire(path.resolve(dir, 'package.json'))
  const needed = ['threadpost', 'express', ...Object.keys(devDependencies)]
  try {
    return needed.every((name) => resolve(`${name}/package.json`) !== '')
  } catch {
    return false
  }
}

function describe({ file, done }: Step): string {
  const note = done === 'kept' ? toned('faint', '  (already exists)') : ''
  return `${toned(done === 'kept' ? 'faint' : 'good', done.padEnd(10))} ${file}${note}`
}
