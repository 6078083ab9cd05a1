import { execFile } from 'node:child_process'
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { folderOf } from './support/folder.js'

const run = promisify(execFile)
const root = path.resolve(import.meta.dirname, '..')

/** An app outside the repo, with the packed tarball unpacked where npm would put it and its dependencies linked. */
async function appWithTarball(files: Record<string, string>): Promise<string> {
  const app = await folderOf({ 'package.json': '{ "type": "module" }', ...files })
  // The test run has built already; `prepare` would build again underneath the other tests.
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', app], {
    cwd: root,
  })
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }]
  const target = path.join(app, 'node_modules', 'threadpost')
  await mkdir(target, { recursive: true })
  await run('tar', ['-xzf', path.join(app, filename), '-C', target, '--strip-components=1'])
  for (const name of await readdir(path.join(root, 'node_modules'))) {
    if (!name.startsWith('.'))
      await symlink(path.join(root, 'node_modules', name), path.join(app, 'node_modules', name))
  }
  return app
}

const APP = `
import { createMailer } from 'threadpost'
import { startInbox } from 'threadpost/testing'
import { mailRouter } from 'threadpost/express'
import assert from 'node:assert/strict'
assert.equal(typeof mailRouter, 'function')
const inbox = await startInbox()
for (const threads of [0, 1]) {
  const mailer = await createMailer({ transport: inbox.url, from: 'Acme <hello@acme.example>', templates: './templates', threads })
  const message = await mailer.sendAndWait({ template: 'welcome', to: 'ada@example.com', data: { name: 'Ada' } })
  assert.equal(message.status, 'sent')
  assert.equal(message.attempts[0].thread === 0, threads === 0)
  await mailer.close()
}
assert.equal(inbox.count, 2)
await inbox.close()
console.log('both arrived')
`

it('the packed tarball works in an app of its own, with threads and without', async () => {
  const app = await appWithTarball({
    'app.js': APP,
    'templates/welcome.mjml':
      '<mjml><mj-head><mj-title>Hi {{name}}</mj-title></mj-head><mj-body><mj-section><mj-column><mj-text>{{name}}</mj-text></mj-column></mj-section></mj-body></mjml>',
  })
  const { stdout } = await run(process.execPath, ['app.js'], { cwd: app })
  expect(stdout).toBe('both arrived\n')
  const packed = await readdir(path.join(app, 'node_modules', 'threadpost'))
  expect(packed.sort()).toEqual(['CHANGELOG.md', 'LICENSE', 'README.md', 'dist', 'package.json', 'templates'])
}, 120_000)

it('its command runs from there', async () => {
  const app = await appWithTarball({})
  const main = path.join(app, 'node_modules', 'threadpost', 'dist', 'src', 'cli', 'main.js')
  const { stdout } = await run(process.execPath, [main, '--help'], { cwd: app })
  for (const command of ['serve', 'send', 'bench']) expect(stdout).toContain(command)
  await writeFile(path.join(app, 'data.json'), '{}')
  await expect(
    run(process.execPath, [main, 'send', '--to', 'x', '--text', 'x', '--subject', 'x'], { cwd: app }),
  ).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining('transport: is required') as string,
  })
}, 120_000)
