import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { folderOf } from './support/folder.js'

const run = promisify(execFile)

/** Renders and sends one mail, and prints every script the main thread parsed for that. */
const SCRIPT = `
import { Session } from 'node:inspector'
const session = new Session()
session.connect()
const scripts = []
session.on('Debugger.scriptParsed', ({ params }) => scripts.push(params.url))
session.post('Debugger.enable')
const { createMailer } = await import('threadpost')
const { startInbox } = await import('threadpost/testing')
await import('threadpost/nodemailer')
const inbox = await startInbox()
const mailer = await createMailer({ transport: inbox.url, from: 'a@b.example', templates: process.argv[2], threads: Number(process.argv[3]) })
const { status } = await mailer.sendAndWait({ template: 'a', to: 'x@y.example', data: { name: 'Ada' } })
await mailer.close()
await inbox.close()
console.log(JSON.stringify({ status, scripts }))
`

const FORBIDDEN =
  /node_modules\/(?:mjml|mjml-[a-z-]+|handlebars|html-to-text|nodemailer\/dist\/[a-z]+\/(?:mail-composer|mime-node|smtp-connection|nodemailer))[/.]/

async function scriptsOfMainThread(threads: number): Promise<string[]> {
  const templates = await folderOf({
    'a.mjml':
      '<mjml><mj-head><mj-title>Hi {{name}}</mj-title></mj-head><mj-body><mj-section><mj-column><mj-text>{{name}}</mj-text></mj-column></mj-section></mj-body></mjml>',
  })
  // Inside the package, so that it can import itself by name like an app would.
  const args = ['--input-type=module', '-e', SCRIPT, 'x', templates, String(threads)]
  const { stdout } = await run(process.execPath, args, { cwd: path.resolve(import.meta.dirname, '..') })
  const { status, scripts } = JSON.parse(stdout) as { status: string; scripts: string[] }
  expect(status).toBe('sent')
  return scripts
}

it('the main thread loads no renderer and no composer', async () => {
  const scripts = await scriptsOfMainThread(1)
  expect(scripts.some((url) => url.includes('node_modules/piscina'))).toBe(true)
  expect(scripts.filter((url) => FORBIDDEN.test(url))).toEqual([])
})

it('inline it does, which shows that the check above can fail', async () => {
  const scripts = await scriptsOfMainThread(0)
  for (const name of ['handlebars', 'mjml-core', 'mail-composer'])
    expect(scripts.some((url) => url.includes(name) && FORBIDDEN.test(url))).toBe(true)
})
