import { mkdir, readdir, readFile, symlink } from 'node:fs/promises'
import path from 'node:path'
import { folderOf } from './folder.js'

export const root = path.resolve(import.meta.dirname, '../..')
export const readme = await readFile(path.join(root, 'README.md'), 'utf8')

/** The blocks of a kind: `js` runs by itself, `js server` and `js redis` with something around it. */
export function blocksOf(kind: string): string[] {
  return [...readme.matchAll(new RegExp(`^\`\`\`${kind}\\n(.*?)^\`\`\`$`, 'gms'))].map(
    (match) => match[1] ?? '',
  )
}

/** What a block prints, by its own comments. */
export function promisesOf(source: string): (string | undefined)[] {
  return [...source.matchAll(/^ *console\.log\(.*\) \/\/ (.*)$/gm)].map((match) => match[1])
}

/** The folder of an app whose `app.js` this is. It imports `threadpost`, and what that was built with, by name. */
export async function appOf(source: string): Promise<string> {
  const folder = await folderOf({ 'package.json': '{ "type": "module" }', 'app.js': source })
  const modules = path.join(folder, 'node_modules')
  await mkdir(modules)
  const names = (await readdir(path.join(root, 'node_modules'))).filter((name) => !name.startsWith('.'))
  for (const name of names) await symlink(path.join(root, 'node_modules', name), path.join(modules, name))
  await symlink(root, path.join(modules, 'threadpost'))
  await symlink(path.join(root, 'templates'), path.join(folder, 'templates'))
  return folder
}
