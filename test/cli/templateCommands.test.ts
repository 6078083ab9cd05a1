import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { folderOf } from '../support/folder.js'
import { mailerWithInbox } from '../support/mailer.js'

const run = promisify(execFile)
const root = path.resolve(import.meta.dirname, '../..')
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
  test('lists the templates that compile once, and explains why others do not', async () => {
    const folder = await folderOf({ 'a.mjml': once, 'b.mjml': first })
    const { stdout, code } = await threadpost('check', '--templates', folder)
    expect(stdout).toContain('once   a')
    expect(stdout).toMatch(
      /first {2}b: .*\n {2}b\.mjml:2:18: \{\{width\}\} - MJML uses width of mj-image in a computation\n {4}to compile it once: /,
    )
    expect(stdout).toContain('1 of 2 templates compile once')
    expect(code).toBe(0)
    expect((await threadpost('check', '--strict', '--templates', folder)).code).toBe(1)
  })

  test('distinguishes a partial that calls itself from one with a computed name', async () => {
    const folder = await folderOf({
      'a.mjml': mail('{{> tree}}'),
      'b.mjml': mail('{{> (lookup . "part")}}'),
      'partials/tree.mjml': '<b>{{name}}</b>{{#each kids}}{{> tree}}{{/each}}',
    })
    const { stdout } = await threadpost('check', '--templates', folder)
    expect(stdout).toMatch(/tree\.mjml:1:\d+: \{\{> tree\}\} - this partial calls itself/)
    expect(stdout).toMatch(/b\.mjml:2:\d+: .* - only the data decides which partial this is/)
  })

  test('fails for a template with an error, and prints its location', async () => {
    const folder = await folderOf({ 'a.mjml': mail('{{> nowhere}}') })
    const { stdout, code } = await threadpost('check', '--templates', folder)
    expect(stdout).toContain("a.mjml:2:10: unknown partial 'nowhere'")
    expect(code).toBe(1)
  })
})

describe('threadpost render', () => {
  test('prints a template with data, in the requested locale', async () => {
    const folder = await folderOf({
      'a.mjml': once,
      'a.fr.mjml': mail('Bonjour {{name}}'),
      'a.json': '{"@policy": {"priority": 1}, "name": "Ada"}',
    })
    const args = ['render', 'a', '--templates', folder, '--data', path.join(folder, 'a.json')]
    expect((await threadpost(...args)).stdout).toBe('Subject: Hi Ada\nPreheader: \n\nHello Ada\n\n')
    expect((await threadpost(...args, '--locale', 'fr-CA', '--text')).stdout).toBe('Bonjour Ada\n\n')
    expect((await threadpost(...args, '--html')).stdout).toContain('<title>Hi Ada</title>')
  })

  test('uses the sample data by default, and lists missing data', async () => {
    const folder = await folderOf({ 'a.mjml': once, 'a.json': '{"name": "Ada"}', 'b.mjml': once })
    expect((await threadpost('render', 'a', '--text', '--templates', folder)).stdout).toBe('Hello Ada\n\n')
    const { stderr, code } = await threadpost('render', 'b', '--templates', folder)
    expect(stderr).toContain('data that is missing: name [MISSING_DATA]')
    expect(code).toBe(1)
  })
})

describe('threadpost build', () => {
  test('refuses to write to the folder of its sources, which later changes could not affect', async () => {
    const folder = await folderOf({ 'a.mjml': once })
    const { stderr, code } = await threadpost('build', '--templates', folder, '--out', `${folder}/.`)
    expect({ stderr, code }).toEqual({
      stderr: expect.stringContaining('--out: must be a different folder'),
      code: 2,
    })
    expect(await readdir(folder)).toEqual(['a.mjml'])
  })

  test('writes templates that need no MJML at run time', async () => {
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

  test('writes nothing if a template has an error', async () => {
    const folder = await folderOf({ 'a.mjml': '{{#if x}}' })
    const out = path.join(folder, 'built')
    const { stderr, code } = await threadpost('build', '--templates', folder, '--out', out)
    expect(stderr).toContain('nothing was written')
    expect(code).toBe(1)
  })
})

describe("helpers of the application's modules", () => {
  const files = {
    'templates/a.mjml': mail('{{price 450}} {{#box}}in{{/box}} {{own}} {{name}}'),
    'more.mjs':
      'export function box(options) { return "[" + options.fn(this) + "]" }\nexport const own = () => "owned"',
    'setup.mjs': `export const setup = ({ helper, globals, log }) => {
      helper('price', (cents) => globals.currency + cents / 100)
      log.warn({ list: 'https://user:hidden@prices.example' }, 'an old price list')
      const open = setInterval(() => {}, 1000)
      return () => clearInterval(open)
    }`,
    'globals.json': '{"currency": "€"}',
  }
  const flagsFor = (folder: string): string[] => [
    ...['--templates', path.join(folder, 'templates'), '--helpers', path.join(folder, 'more.mjs')],
    ...['--setup', path.join(folder, 'setup.mjs'), '--globals', path.join(folder, 'globals.json')],
  ]

  test('are available to check, render, and types, which close the resources of setup', async () => {
    const folder = await folderOf(files)
    const flags = flagsFor(folder)
    expect((await threadpost('check', ...flags.slice(0, 2))).stdout).toContain('unknown helper "price"')
    const checked = await threadpost('check', ...flags)
    expect(checked).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('1 of 1 templates compile once'),
    })
    expect(checked.stderr).toContain('an old price list {"list":"https://***@prices.example"}')
    const data = path.join(await folderOf({ 'data.json': '{"name": "Ada"}' }), 'data.json')
    const rendered = await threadpost('render', 'a', '--text', '--data', data, ...flags)
    expect(rendered.stdout).toBe('€4.5 [in] owned Ada\n\n')
    const out = path.join(folder, 'types.d.ts')
    expect(await threadpost('types', '--out', out, ...flags)).toMatchObject({ code: 0 })
    const declared = await readFile(out, 'utf8')
    expect(declared).toContain('name:')
    expect(declared).not.toContain('own:')
  })

  test('are required by a mailer that uses the output of build', async () => {
    const folder = await folderOf(files)
    const out = path.join(folder, 'built')
    expect(await threadpost('build', '--out', out, ...flagsFor(folder))).toMatchObject({ code: 0 })
    await expect(mailerWithInbox({ templates: out })).rejects.toMatchObject({
      code: 'START_FAILED',
      message: expect.stringMatching(/built with the helper '(box|own|price)', .* templates\.helpers/),
    })
    const { mailer, inbox } = await mailerWithInbox({
      templates: {
        dir: out,
        helpers: path.join(folder, 'more.mjs'),
        setup: path.join(folder, 'setup.mjs'),
        globals: { currency: '€' },
      },
    })
    const sent = await mailer.sendAndWait({ template: 'a', to: 'ada@example.com', data: { name: 'Ada' } })
    expect(sent.status).toBe('sent')
    expect((await inbox.waitFor()).text?.trim()).toBe('€4.5 [in] owned Ada')
  })

  test('cause an error of one line if they fail to load', async () => {
    const folder = await folderOf({
      ...files,
      'bad.mjs': 'export const setup = () => { throw new Error("no price list") }',
    })
    const flags = ['--templates', path.join(folder, 'templates')]
    expect(await threadpost('check', ...flags, '--setup', path.join(folder, 'bad.mjs'))).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^threadpost: .*bad\.mjs failed: no price list \[TEMPLATE_ERROR\]\n$/),
    })
    expect(await threadpost('check', ...flags, '--globals', path.join(folder, 'bad.mjs'))).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--globals:'),
    })
  })
})

describe('a mailer', () => {
  test('refuses missing data with the paths, and reloads changed templates', async () => {
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
    await writeFile(path.join(folder, 'a.mjml'), mail('Hello', 'Hi'))
    await writeFile(path.join(folder, 'b.mjml'), mail('Hello', 'Hi'))
    // The mailer checks for changes at most four times a second.
    const outcome = (template: string): Promise<string> =>
      mailer.sendAndWait({ template, to }).then(
        ({ status }) => status,
        (error: unknown) => (error as { code: string }).code,
      )
    await expect.poll(() => outcome('a')).toBe('sent')
    expect(await outcome('b')).toBe('sent')
  })

  test('applies the policy of the sample file, which fields of the mail override', async () => {
    const folder = await folderOf({
      'a.mjml': mail('Hello', 'Hi'),
      'a.json': '{"@policy": {"priority": 9, "expiresAfter": 60000}}',
    })
    const { mailer } = await mailerWithInbox({ templates: folder })
    const urgent = await mailer.sendAndWait({ template: 'a', to: 'ada@example.com' })
    expect(urgent.priority).toBe(9)
    expect(Date.parse(urgent.expiresAt) - Date.parse(urgent.acceptedAt)).toBe(60_000)
    const own = await mailer.sendAndWait({ template: 'a', to: 'ada@example.com', priority: 0 })
    expect(own.priority).toBe(0)
  })
})
