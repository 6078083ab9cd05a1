// A step of the build: copies the files that tsc ignores next to the compiled files, and makes the command executable.
// Styles and scripts of pages are minified; the files of `threadpost init` are not, because users read them.
import { existsSync } from 'node:fs'
import { chmod, cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { transform } from 'esbuild'

const root = path.dirname(import.meta.dirname)
const assets = /\.(html|css|json|lua|m?js|jsx|svg|png|ico|txt|yml)$/
const minified = /\/assets\/[^/]+\.(css|js)$/
const command = path.join(root, 'dist/src/cli/main.js')

for (const file of await readdir(path.join(root, 'src'), { recursive: true })) {
  if (!assets.test(file)) continue
  const to = path.join(root, 'dist/src', file)
  await mkdir(path.dirname(to), { recursive: true })
  const from = path.join(root, 'src', file)
  const loader = minified.exec(file)?.[1]
  if (loader === undefined) await cp(from, to)
  else await writeFile(to, (await transform(await readFile(from, 'utf8'), { loader, minify: true })).code)
}
if (existsSync(command)) await chmod(command, 0o755)
