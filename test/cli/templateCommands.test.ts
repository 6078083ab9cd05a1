import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
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

  test('marks React components, which are rendered for each message, and HTML whose CSS is inlined for each', async () => {
    const folder = await folderOf({
      'a.mjml': once,
      'b.tsx': 'export default ({ name }) => <p>{name}</p>',
      'c.html':
        '<html><head><style>.a { color: red }</style></head><body><p class="{{name}}">x</p></body></html>',
    })
    await symlink(path.join(root, 'node_modules'), path.join(folder, 'node_modules'))
    const { stdout, code } = await threadpost('check', '--templates', folder)
    expect(stdout).toMatch(/once {3}a\neach {3}b\nfirst {2}c: inlines CSS for each message\n/)
    expect(stdout).toContain('1 of 3 templates compile once; 1 in React are rendered for each message')
    expect(code).toBe(0)
    await rm(path.join(folder, 'c.html'))
    expect((await threadpost('check', '--strict', '--templates', folder)).code).toBe(0)
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

describe('threadpost check', () => {
  test('fails for files that can never be rendered, and says where parts of templates belong', async () => {
    const folder = await folderOf({
      'whole.mjml': once,
      'laid.mjml': '{{#extend "frame"}}{{#content "body"}}<mj-text>x</mj-text>{{/content}}{{/extend}}',
      'layouts/frame.mjml': mail('x</mj-text>{{#block "body"}}{{/block}}<mj-text>'),
      'chosen.mjml': '{{> (lookup . "part")}}',
      'partials/header.mjml': '<mj-section></mj-section>',
      'fragment.mjml': '<mj-section><mj-column><mj-text>x</mj-text></mj-column></mj-section>',
      'wrapped.mjml': '<!-- <mjml> -->{{#if a}}<mj-text>x</mj-text>{{/if}}',
      'empty.mjml': ' \n',
      'empty-text.txt': '\n',
      'comment.mjml': '{{! nothing yet }}',
      'bodiless.mjml': '<mjml><mj-head><mj-title>x</mj-title></mj-head></mjml>',
      'words.mjml': 'Hello',
    })
    const { stdout, code } = await threadpost('check', '--templates', folder)
    expect(code).toBe(1)
    for (const name of ['fragment', 'wrapped', 'bodiless', 'comment', 'words'])
      expect(stdout).toMatch(new RegExp(`${name}\\.mjml:1:1: .*partials/`))
    for (const name of ['empty.mjml', 'empty-text.txt'])
      expect(stdout).toContain(`${name}:1:1: the file is empty`)
    for (const name of ['whole', 'laid', 'chosen', 'header'])
      expect(stdout).not.toMatch(new RegExp(`${name}\\.mjml:1:1: .*partials/`))
  })

  test('fails for a file that looks like a template, is none, and is part of none', async () => {
    const folder = await folderOf({
      'welcome.html': '<p>Hello {{name}}</p>',
      'legal.html': '<p>The small print</p>',
      'a.mjml': once.replace('</mj-column>', '<mj-include path="./legal.html" type="html" /></mj-column>'),
      'b.tsx': "import { Row } from './row'\nexport default () => <Row />",
      'row.tsx': 'export const Row = () => <p>x</p>',
      'lost.tsx': 'export const Lost = () => <p>x</p>',
    })
    await symlink(path.join(root, 'node_modules'), path.join(folder, 'node_modules'))
    const { stdout, code } = await threadpost('check', '--templates', folder)
    expect(code).toBe(1)
    expect(stdout).toMatch(/error {2}welcome\.html\n {2}welcome\.html has no <!doctype html>, .*fragment/)
    expect(stdout).toMatch(/error {2}lost\.tsx\n {2}lost\.tsx has no default export/)
    expect(stdout).not.toMatch(/legal|row/)
    expect(stdout).toContain('1 of 2 templates compile once')
  })

  test('fails for a folder without templates, and for a file instead of a folder', async () => {
    const folder = await folderOf({ 'notes.md': 'none' })
    expect(await threadpost('check', '--templates', folder)).toMatchObject({
      code: 1,
      stderr: `The folder ${folder} contains no template\n`,
    })
    const file = path.join(folder, 'notes.md')
    expect((await threadpost('check', '--templates', file)).stderr).toContain('is a file; name the folder')
  })

  test('fails for a load module that Node would read as CommonJS, and says how to rename it', async () => {
    const load = 'export async function load() {\n  return {}\n}\n'
    const files = {
      't/a.mjml': once,
      't/a.load.js': load,
      't/b.mjml': once,
      't/b.load.mjs': load,
      't/c.mjml': once,
      't/c.load.js': 'exports.load = async () => ({})',
    }
    const folder = await folderOf({ ...files, 'package.json': '{ "type": "commonjs" }' })
    const { stdout, code } = await threadpost('check', '--templates', path.join(folder, 't'))
    expect(code).toBe(1)
    expect(stdout).toContain(
      "a.load.js can't be loaded: it is an ES module in a CommonJS package; rename it to a.load.mjs",
    )
    expect(stdout).not.toMatch(/[bc]\.load/)
    const modern = await folderOf({ ...files, 'package.json': '{ "type": "module" }' })
    expect((await threadpost('check', '--templates', path.join(modern, 't'))).code).toBe(0)
  })

  test('reports every error of a file with line and column', async () => {
    const head = '<mjml><mj-body><mj-section><mj-column>\n'
    const tail = '\n</mj-column></mj-section></mj-body></mjml>'
    const folder = await folderOf({
      'tags.mjml': `${head}<mj-text foo="1" color="{{c}}">Hi</mj-txt>\n<mj-image src="x" alt=""  bar="{{b}}" />${tail}`,
      'calls.mjml': `${head}<mj-text>{{> nowhere}} {{#if a}}{{shout b}}{{/if}}</mj-text>\n  <mj-bogus />${tail}`,
      'open.mjml': `<mjml><mj-body>\n <mj-section>\n</mj-body></mjml>`,
      'ends.mjml': `<mjml><mj-body>\n <mj-section>`,
      'partials/inner.mjml': '<mj-text baz="1">x</mj-text>',
      'uses.mjml': `${head}{{> inner}}${tail}`,
      'fine.mjml': `${head}<mj-text css-class="a" mj-class="b" color="{{c}}" font-size="{{s}}px"><p>a<br>b</div></mj-text>\n<mj-raw><mj-text>x</mj-text></mj-raw>${tail}`,
    })
    const { stdout, code } = await threadpost('check', '--json', '--templates', folder)
    expect(code).toBe(1)
    const errors = Object.fromEntries(
      (JSON.parse(stdout) as { name: string; errors: string[] }[]).map(({ name, errors }) => [name, errors]),
    )
    expect(errors).toEqual({
      tags: [
        'tags.mjml:2:10: <mj-text> has no attribute "foo"',
        'tags.mjml:2:34: </mj-txt> is the wrong closing tag: <mj-text> of tags.mjml:2:1 is open',
        'tags.mjml:3:27: <mj-image> has no attribute "bar"',
      ],
      calls: [
        expect.stringMatching(/^calls\.mjml:2:10: unknown partial 'nowhere'/),
        expect.stringMatching(/^calls\.mjml:2:33: unknown helper "shout"/),
        'calls.mjml:3:3: <mj-bogus> is unknown: MJML has no such component',
      ],
      open: ['open.mjml:3:1: </mj-body> is the wrong closing tag: <mj-section> of open.mjml:2:2 is open'],
      ends: [
        'ends.mjml:1:1: <mjml> is never closed',
        'ends.mjml:1:7: <mj-body> is never closed',
        'ends.mjml:2:2: <mj-section> is never closed',
      ],
      uses: ['partials/inner.mjml:1:10: <mj-text> has no attribute "baz"'],
      fine: [],
    })
  })

  test('never complains about a value that only the data has, and shows no placeholder', async () => {
    const folder = await folderOf({
      'a.mjml': mail('Hi').replace(
        '<mj-text>',
        '<mj-text color="{{c}}" font-size="{{s}}px" align="{{a}}" padding="{{p}}">',
      ),
      'b.mjml': mail('Hi').replace('<mj-text>', '<mj-carousel thumbnails="{{t}}"></mj-carousel><mj-text>'),
    })
    const { stdout } = await threadpost('check', '--templates', folder)
    expect(stdout).not.toMatch(/\bq[0-9a-f]{8}x/)
    expect(stdout).not.toContain('invalid value')
  })

  test("runs MJML's validation on the template with its sample data", async () => {
    const colored = mail('{{name}}').replace('<mj-text>', '<mj-text\n color="{{color}}">')
    const folder = await folderOf({
      'bad.mjml': colored,
      'bad.json': '{"name": "Ada", "color": "no-color-1"}',
      'good.mjml': colored,
      'good.json': '{"name": "Ada", "color": "#fff"}',
      'lacking.mjml': colored,
      'lacking.json': '{"name": "Ada"}',
    })
    const { stdout, code } = await threadpost('check', '--templates', folder)
    expect(code).toBe(1)
    expect(stdout).toContain('bad.mjml:3:2: <mj-text>: Attribute color has invalid value: no-color-1')
    expect(stdout).toMatch(/once {3}good\n/)
    expect(stdout).toMatch(/once {3}lacking\n {2}note: the sample data is incomplete: .*color/)
  })

  test.each(['check', 'types', 'build'])('%s fails where there is no template folder', async (command) => {
    const empty = await folderOf({})
    const out = command === 'build' ? ['--out', 'out'] : []
    const missing = await run(process.execPath, [main, command, ...out], { cwd: empty }).catch(
      (error: unknown) => error,
    )
    expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining("doesn't exist") })
    expect(await readdir(empty)).toEqual([])
  })
})

describe('a template that is only a text part', () => {
  const files = {
    'note.txt': 'Note: {{note}} <b>',
    'note.fr.txt': 'Avis: {{note}}',
    'note.json': '{"note": "a & b"}',
  }

  test('is rendered, checked, typed, built, and sent without HTML', async () => {
    const folder = await folderOf(files)
    const flags = ['--templates', folder]
    expect((await threadpost('render', 'note', ...flags)).stdout).toBe(
      'Subject: \nPreheader: \n\nNote: a & b <b>\n',
    )
    expect((await threadpost('render', 'note', '--locale', 'fr', '--text', ...flags)).stdout).toBe(
      'Avis: a & b\n',
    )
    expect((await threadpost('check', ...flags)).stdout).toContain('2 of 2 templates compile once')
    const types = path.join(folder, 'new/folder/types.d.ts')
    expect((await threadpost('types', '--out', types, ...flags)).code).toBe(0)
    expect(await readFile(types, 'utf8')).toMatch(/note: \{\s+data: \{\s+note: string/)
    const built = path.join(folder, 'built')
    expect((await threadpost('build', '--out', built, ...flags)).code).toBe(0)

    for (const templates of [folder, built]) {
      const { mailer, inbox } = await mailerWithInbox({ templates })
      const to = 'ada@example.com'
      await expect(mailer.send({ template: 'note', to, subject: 'x' })).rejects.toMatchObject({
        code: 'MISSING_DATA',
      })
      await expect(mailer.send({ template: 'note', to, data: { note: 1 } })).rejects.toMatchObject({
        path: 'subject',
      })
      const sent = await mailer.sendAndWait({
        template: 'note',
        to,
        subject: 'A note',
        data: { note: '<i>' },
      })
      expect(sent.status).toBe('sent')
      const received = await inbox.waitFor()
      expect(received).toMatchObject({ subject: 'A note', text: 'Note: <i> <b>\n' })
      expect(received.html).toBeUndefined()
    }
  })
})

describe('helpers.js in a CommonJS package', () => {
  const files = {
    'package.json': '{"type": "commonjs"}',
    't/a.mjml': mail('{{shout name}}'),
    't/a.json': '{"name": "Ada"}',
  }
  const render = (folder: string) =>
    threadpost('render', 'a', '--text', '--templates', path.join(folder, 't'))

  test('is named in an error that says to rename it, if it is an ES module', async () => {
    const folder = await folderOf({
      ...files,
      't/helpers.js': 'export const shout = (text) => text.toUpperCase()',
    })
    const { stderr, code } = await render(folder)
    expect({ stderr, code }).toEqual({ code: 1, stderr: expect.stringContaining('rename it to helpers.mjs') })
  })

  test.each([
    'exports.shout = (text) => text.toUpperCase()',
    'module.exports = Object.fromEntries([["shout", (text) => text.toUpperCase()]])',
  ])('is loaded if it is a CommonJS module: %s', async (source) => {
    expect((await render(await folderOf({ ...files, 't/helpers.js': source }))).stdout).toBe('ADA\n\n')
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
