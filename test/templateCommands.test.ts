import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { folderOf } from './support/folder.js'
import { mailerWithInbox } from './support/mailer.js'

const run = promisify(execFile)
const root = path.resolve(import.meta.dirname, '..')
const main = path.join(root, 'dist/src/cli/main.js')

const threadpost = (...args: string[]): Promise<{ stdout: string; stderr: string; code: number }> =>
  run(process.execPath, [main, ...args], { env: { PATH: process.env['PATH'] } }).then(
    ({ stdout, stderr }) => ({ stdout, stderr, code: 0 }),
    (error: unknown) => error as { stdout: string; stderr: string; code: number },
  )

const mail = (text: string, title = 'Hi {{name}}'): string =>
  `<mjml><mj-head><mj-title>${title}</mj-title></mj-head><mj-body><mj-section><mj-column>\n<mj-text>${text}</mj-text>\n</mj-column></mj-section></mj-body></mjml>`

const once = mail('Hello {{name}}')
const first = once.replace('<mj-text>', '<mj-image width="{{width}}" /><mj-text>')

describe('threadpost check', () => {
  test('says which templates compile once, and what keeps others from it', async () => {
    const folder = await folderOf({ 'a.mjml': once, 'b.mjml': first })
    const { stdout, code } = await threadpost('check', '--templates', folder)
    expect(stdout).toContain('once   a')
    expect(stdout).toMatch(
      /first {2}b: .*\n {2}b\.mjml:2:18: \{\{width\}\} - MJML computes with width of mj-image\n {4}to compile it once: /,
    )
    expect(stdout).toContain('1 of 2 templates compile once')
    expect(code).toBe(0)
    expect((await threadpost('check', '--strict', '--templates', folder)).code).toBe(1)
  })

  test('fails for a template that is wrong, with its place', async () => {
    const folder = await folderOf({ 'a.mjml': mail('{{> nowhere}}') })
    const { stdout, code } = await threadpost('check', '--templates', folder)
    expect(stdout).toContain("a.mjml:2:10: there is no partial 'nowhere'")
    expect(code).toBe(1)
  })
})

describe('threadpost render', () => {
  test('prints a template with data, in one language or another', async () => {
    const folder = await folderOf({
      'a.mjml': once,
      'a.fr.mjml': mail('Bonjour {{name}}'),
      'a.json': '{"@policy": {"priority": 1}, "name": "Ada"}',
    })
    const args = ['render', 'a', '--templates', folder, '--data', path.join(folder, 'a.json')]
    expect((await threadpost(...args)).stdout).toBe('Subject: Hi Ada\nPreheader: \n\nHello Ada\n\n')
    expect((await threadpost(...args, '--locale', 'fr-CA', '--text')).stdout).toBe('Bonjour Ada\n\n')
    expect((await threadpost(...args, '--html')).stdout).toContain('<title>Hi Ada</title>')
    const { stderr, code } = await threadpost('render', 'a', '--templates', folder)
    expect(stderr).toContain('data that is missing: name [MISSING_DATA]')
    expect(code).toBe(1)
  })
})

describe('threadpost build', () => {
  test('writes templates that need no MJML', async () => {
    const folder = await folderOf({
      'a.mjml': mail('{{shout name}} {{t "bye"}}'),
      'helpers.js': 'export const shout = (text) => text.toUpperCase()',
      'locales/en.json': '{"bye": "Bye"}',
    })
    const out = path.join(folder, 'built')
    await mkdir(out)
    const { stdout, code } = await threadpost('build', '--templates', folder, '--out', out)
    expect(stdout).toContain('1 of 1 templates compile once')
    expect(code).toBe(0)

    const { mailer, inbox } = await mailerWithInbox({ templates: out })
    await expect(mailer.send({ template: 'a', to: 'ada@example.com' })).rejects.toMatchObject({
      code: 'MISSING_DATA',
    })
    const message = await mailer.sendAndWait({ template: 'a', to: 'ada@example.com', data: { name: 'Ada' } })
    expect(message.status).toBe('sent')
    expect((await inbox.waitFor()).text).toContain('ADA Bye')
  })

  test('writes nothing if a template is wrong', async () => {
    const folder = await folderOf({ 'a.mjml': '{{#if x}}' })
    const out = path.join(folder, 'built')
    const { stderr, code } = await threadpost('build', '--templates', folder, '--out', out)
    expect(stderr).toContain('nothing was written')
    expect(code).toBe(1)
  })
})

describe('a mailer', () => {
  test('refuses missing data at once, with the paths, and learns of changed templates', async () => {
    const folder = await folderOf({ 'a.mjml': mail('{{#each items}}{{price}}{{/each}}') })
    const { mailer } = await mailerWithInbox({ templates: folder })
    const to = 'ada@example.com'
    await expect(
      mailer.send({ template: 'a', to, data: { items: [{ price: 1 }, {}] } }),
    ).rejects.toMatchObject({
      code: 'MISSING_DATA',
      path: 'data.name',
      paths: ['name', 'items[1].price'],
    })
    await expect(mailer.send({ template: 'b', to })).rejects.toMatchObject({ code: 'UNKNOWN_TEMPLATE' })
    await new Promise((resolve) => setTimeout(resolve, 300))
    await writeFile(path.join(folder, 'a.mjml'), mail('Hello', 'Hi'))
    await writeFile(path.join(folder, 'b.mjml'), mail('Hello', 'Hi'))
    expect((await mailer.sendAndWait({ template: 'a', to })).status).toBe('sent')
    expect((await mailer.sendAndWait({ template: 'b', to })).status).toBe('sent')
  })

  test('sends by the policy of the sample file unless the mail says otherwise', async () => {
    const folder = await folderOf({
      'a.mjml': mail('Hello', 'Hi'),
      'a.json': '{"@policy": {"priority": 9, "expiresAfter": 60000}}',
    })
    const { mailer } = await mailerWithInbox({ templates: folder })
    const at = Date.now()
    const urgent = await mailer.sendAndWait({ template: 'a', to: 'ada@example.com' })
    expect(urgent.priority).toBe(9)
    expect(Date.parse(urgent.expiresAt)).toBeLessThan(at + 70_000)
    const own = await mailer.sendAndWait({ template: 'a', to: 'ada@example.com', priority: 0 })
    expect(own.priority).toBe(0)
  })
})
