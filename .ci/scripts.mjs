// A step of the build: makes the package small. Comments and white space leave the compiled scripts (the declarations keep theirs), and
// scripts that held nothing but types are removed, unless another script imports them.
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { transform } from 'esbuild'
import ts from 'typescript'

const dist = path.join(path.dirname(import.meta.dirname), 'dist')
const names = (await readdir(dist, { recursive: true })).filter((name) => name.endsWith('.js'))

const scripts = new Map()
await Promise.all(
  names.map(async (name) => {
    const file = path.join(dist, name)
    // esbuild alone keeps the comments inside classes and functions.
    const { outputText } = ts.transpileModule(await readFile(file, 'utf8'), {
      compilerOptions: { removeComments: true, target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext },
    })
    const { code } = await transform(outputText, {
      format: 'esm',
      target: 'esnext',
      minifyWhitespace: true,
      minifySyntax: true,
      // Names and short lines stay, so that a stack trace still says where.
      lineLimit: 120,
    })
    scripts.set(file, code)
  }),
)

const imported = new Set()
for (const [file, code] of scripts)
  for (const [, specifier] of code.matchAll(/(?:from|import|import\() ?"(\.[^"]+)"/g))
    imported.add(path.join(path.dirname(file), specifier))

for (const [file, code] of scripts)
  if (code.trim() === '' && !imported.has(file)) await rm(file)
  else await writeFile(file, code)
