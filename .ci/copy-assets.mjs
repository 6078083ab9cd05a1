// The last step of the build: puts what tsc leaves behind next to the compiled files and makes the command executable.
import { existsSync } from 'node:fs'
import { chmod, cp, mkdir, readdir } from 'node:fs/promises'
import path from 'node:path'

const root = path.dirname(import.meta.dirname)
const assets = /\.(html|css|lua|m?js|svg|png|ico|txt)$/
const command = path.join(root, 'dist/src/cli/main.js')

for (const file of await readdir(path.join(root, 'src'), { recursive: true })) {
  if (!assets.test(file)) continue
  const to = path.join(root, 'dist/src', file)
  await mkdir(path.dirname(to), { recursive: true })
  await cp(path.join(root, 'src', file), to)
}
if (existsSync(command)) await chmod(command, 0o755)
