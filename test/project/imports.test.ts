import { expect, it } from 'vitest'
import { folderOf } from '../support/folder.js'
import { loadedScripts } from '../support/loadedScripts.js'

/** Renders and sends one mail. */
const SEND = `
const { createMailer } = await import('threadpost')
const { startInbox } = await import('threadpost/testing')
await import('threadpost/nodemailer')
const inbox = await startInbox()
const mailer = await createMailer({ transport: inbox.url, from: 'a@b.example', templates: process.argv[2], threads: Number(process.argv[3]) })
result = (await mailer.sendAndWait({ template: 'a', to: 'x@y.example', data: { name: 'Ada' } })).status
await mailer.close()
await inbox.close()
`

const FORBIDDEN =
  /(?:node_modules\/(?:mjml|mjml-[a-z-]+|handlebars|html-to-text|nodemailer\/dist\/[a-z]+\/(?:mail-composer|mime-node|smtp-connection|nodemailer))|dist\/workers\/render\/(?:mjml|css|shared)Packages)[/.]/

async function scriptsOfMainThread(threads: number): Promise<string[]> {
  const templates = await folderOf({
    'a.mjml':
      '<mjml><mj-head><mj-title>Hi {{name}}</mj-title></mj-head><mj-body><mj-section><mj-column><mj-text>{{name}}</mj-text></mj-column></mj-section></mj-body></mjml>',
  })
  const { result, scripts } = await loadedScripts({ code: SEND, args: [templates, String(threads)] })
  expect(result).toBe('sent')
  return scripts
}

it('the main thread loads neither the renderer nor the composer, nor what only HTTP needs', async () => {
  const scripts = await scriptsOfMainThread(1)
  expect(scripts.some((url) => url.includes('node_modules/piscina'))).toBe(true)
  expect(scripts.filter((url) => FORBIDDEN.test(url))).toEqual([])
  expect(scripts.filter((url) => /node_modules\/(?:zod|express|helmet|prom-client)\//.test(url))).toEqual([])
})

it('with threads: 0 the main thread loads both, which shows that the previous test can fail', async () => {
  const scripts = await scriptsOfMainThread(0)
  for (const name of ['handlebars', 'mjmlPackages', 'smtp-connection'])
    expect(scripts.some((url) => url.includes(name) && FORBIDDEN.test(url))).toBe(true)
  // Only transports that SMTP doesn't need load the rest of nodemailer.
  expect(scripts.filter((url) => url.includes('mail-composer'))).toEqual([])
})
