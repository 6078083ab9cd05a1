import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { folderOf } from './folder.js'

const run = promisify(execFile)
const root = path.resolve(import.meta.dirname, '../..')

/** The package that npm would publish. */
export interface Tarball {
  file: string
  /** Bytes. */
  size: number
  unpackedSize: number
  files: string[]
  remove(): Promise<void>
}

/** Packs what the test run has built already; `prepack` would build again underneath the other tests. */
export async function pack(): Promise<Tarball> {
  const folder = await mkdtemp(path.join(tmpdir(), 'threadpost-test-'))
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]
  const { stdout } = await run('npm', args, { cwd: root })
  const [{ filename, size, unpackedSize, files }] = JSON.parse(stdout) as [
    { filename: string; size: number; unpackedSize: number; files: { path: string }[] },
  ]
  return {
    file: path.join(folder, filename),
    size,
    unpackedSize,
    files: files.map((file) => file.path),
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

/** An app outside the repo, with the tarball unpacked where npm would put it and its dependencies linked. */
export async function appWith(tarball: Tarball, files: Record<string, string> = {}): Promise<string> {
  const app = await folderOf({ 'package.json': '{ "type": "module" }', ...files })
  const target = path.join(app, 'node_modules', 'threadpost')
  await mkdir(target, { recursive: true })
  await run('tar', ['-xzf', tarball.file, '-C', target, '--strip-components=1'])
  for (const name of await readdir(path.join(root, 'node_modules'))) {
    if (!name.startsWith('.') || name === '.bin')
      await symlink(path.join(root, 'node_modules', name), path.join(app, 'node_modules', name))
  }
  return app
}
