import { readdir, readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { templateTypes } from '../templates/types.js'
import { readManifests } from '../templates/workshop.js'
import { OWN_PACKAGE, OWN_TEMPLATES } from './package.js'

/** The files that `threadpost init` sets up beside package.json: their content by their path. */
export async function starterFiles(): Promise<Map<string, Buffer | string>> {
  const files = new Map<string, Buffer | string>()
  files.set('server.mjs', await readFile(new URL('./starter/server.mjs', import.meta.url)))
  files.set('threadpost.d.ts', templateTypes(await readManifests(OWN_TEMPLATES)))
  files.set('jsconfig.json', `${JSON.stringify(JSCONFIG, null, 2)}\n`)
  for (const name of await readdir(OWN_TEMPLATES, { recursive: true })) {
    if (name === DOCUMENTATION) continue
    const file = path.join(OWN_TEMPLATES, name)
    if ((await stat(file)).isFile()) files.set(path.join('templates', name), await readFile(file))
  }
  return files
}

/** The chapter about templates lies in their folder, but is not for an application. */
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
export function packageWith(text: string | undefined, name: string): string {
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
