// A step of the build: takes away the declarations that no entry point leads to. They tell a user's compiler nothing, and an
// editor would offer to import from them.
import { readdir, readFile, rm } from 'node:fs/promises'
import path from 'node:path'

const root = path.dirname(import.meta.dirname)
const { exports } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8'))
const entries = Object.values(exports).flatMap(({ types }) => (types ? [path.join(root, types)] : []))

const reached = new Set()
for (const file of entries) await reach(file)
for (const name of await readdir(path.join(root, 'dist'), { recursive: true })) {
  const file = path.join(root, 'dist', name)
  if (/\.d\.c?ts$/.test(file) && !reached.has(file)) await rm(file)
}

async function reach(file) {
  if (reached.has(file)) return
  reached.add(file)
  const text = await readFile(file, 'utf8')
  for (const [, specifier] of text.matchAll(/(?:from|import|import\() ?'(\.[^']+)'/g))
    await reach(path.join(path.dirname(file), specifier.replace(/\.js$/, '.d.ts')))
}
