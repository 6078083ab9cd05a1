import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import ts from 'typescript'
import { describe, expect, it, onTestFinished } from 'vitest'
import { readManifests } from '../../src/templates/precompile.js'
import { generateTypeDeclarations } from '../../src/templates/typeDeclarations.js'
import { folderOf } from '../support/folder.js'

const ROOT = path.resolve(import.meta.dirname, '../..')
const MAIN = path.join(ROOT, 'dist/src/cli/main.js')
const execute = promisify(execFile)

const threadpost = (...args: string[]): Promise<{ stdout: string; stderr: string; code: number }> =>
  execute(process.execPath, [MAIN, ...args]).then(
    (output) => ({ ...output, code: 0 }),
    (error: unknown) => error as { stdout: string; stderr: string; code: number },
  )

const TEMPLATES = {
  'order.mjml': `<mjml><mj-head><mj-title>Order {{id}}</mj-title></mj-head><mj-body><mj-section><mj-column>
    <mj-text>{{customer.name}} {{#if note}}{{note}}{{/if}} {{when}} {{@context.requestId}} {{@app.brand}}</mj-text>
    {{#each lines}}<mj-text>{{title}}: {{count}}{{#if gift}} (gift){{/if}}</mj-text>{{/each}}
    </mj-column></mj-section></mj-body></mjml>`,
  'order.fr.mjml': `<mjml><mj-body><mj-section><mj-column><mj-text>{{id}}</mj-text></mj-column></mj-section></mj-body></mjml>`,
  'order.json': JSON.stringify({
    id: 7,
    customer: { name: 'Ada' },
    when: '2026-11-22',
    lines: [{ title: 'Pen', count: 2, gift: true }],
  }),
  'plain-news.mjml': `<mjml><mj-body><mj-section><mj-column><mj-text>News</mj-text></mj-column></mj-section></mj-body></mjml>`,
}

const GOOD = `{ template: 'order', to: 'a@b.example', locale: 'fr', data: {
  id: 1, customer: { name: 'Ada' }, when: new Date(), lines: [{ title: 'Pen', count: 1 }] } }`

/** Returns TypeScript's errors for each mail with the declarations of the templates. */
async function complaints(
  mails: Record<string, string>,
  declarations: string,
): Promise<Record<string, string[]>> {
  const dir = await folderOf({ 'threadpost.d.ts': declarations })
  const files = await Promise.all(
    Object.entries(mails).map(async ([name, mail]) => {
      const file = path.join(dir, `${name}.mts`)
      await writeFile(
        file,
        `import type { Mailer, TemplateLocale } from 'threadpost'\ndeclare const navigator: { language: string }\ndeclare type Unused = TemplateLocale\ndeclare const mailer: Mailer\n${mail.startsWith('mailer.') ? mail : `mailer.send(${mail})`}\n`,
      )
      return file
    }),
  )
  const program = ts.createProgram([...files, path.join(dir, 'threadpost.d.ts')], {
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2023,
    paths: { threadpost: [path.join(ROOT, 'dist/src/index.d.ts')] },
  })
  const errors = Object.fromEntries(Object.keys(mails).map((name) => [name, [] as string[]]))
  for (const { file, messageText } of ts.getPreEmitDiagnostics(program)) {
    const name = path.basename(file?.fileName ?? 'options', '.mts')
    ;(errors[name] ??= []).push(ts.flattenDiagnosticMessageText(messageText, '\n'))
  }
  return errors
}

describe('typed templates', () => {
  it('let TypeScript check names, variables and items', async () => {
    const dir = await folderOf(TEMPLATES)
    const errors = await complaints(
      {
        good: GOOD,
        noData: `{ template: 'plain-news', to: 'a@b.example' }`,
        literal: `{ to: 'a@b.example', subject: 's', text: 't' }`,
        optional: GOOD.replace('id: 1,', `id: 1, note: 'x',`),
        name: GOOD.replace(`'order'`, `'ordre'`),
        missing: GOOD.replace('id: 1,', ''),
        misspelt: GOOD.replace('when:', 'wen:'),
        item: GOOD.replace('title:', 'titel:'),
        type: GOOD.replace('count: 1', `count: 'one'`),
        withoutData: `{ template: 'order', to: 'a@b.example' }`,
        many: `mailer.sendMany([${GOOD}, ${GOOD}])`,
        manyMissing: `mailer.sendMany([${GOOD}, ${GOOD.replace('id: 1,', '')}])`,
        waitMisspelt: `mailer.sendAndWait(${GOOD.replace('when:', 'wen:')})`,
        render: `mailer.render('order', { id: 1, customer: { name: 'Ada' }, when: 'now', lines: [] })`,
        renderName: `mailer.render('ordre', {})`,
        renderLocale: `mailer.render('plain-news', {}, { locale: 'de' })`,
        region: GOOD.replace("'fr'", "'fr-CA'"),
        unknownLocale: GOOD.replace("'fr'", "'de'"),
        similarLocale: GOOD.replace("'fr'", "'french'"),
        locale: GOOD.replace("'fr'", 'navigator.language as TemplateLocale'),
        noContent: `{ to: 'a@b.example', subject: 's' }`,
        undefinedContent: `{ to: 'a@b.example', subject: 's', text: undefined }`,
        emptyMail: `{}`,
        html: `{ to: 'a@b.example', subject: 's', html: '<p>t</p>' }`,
        both: `{ to: 'a@b.example', subject: 's', html: '<p>t</p>', text: 't' }`,
        mjml: `{ to: 'a@b.example', subject: 's', mjml: '<mjml></mjml>', data: { a: 1 } }`,
        twoContents: `{ to: 'a@b.example', template: 'plain-news', text: 't' }`,
      },
      generateTypeDeclarations(await readManifests(dir)),
    )
    const red = Object.entries(errors).flatMap(([name, problems]) => (problems.length > 0 ? [name] : []))
    expect(red.sort()).toEqual([
      'emptyMail',
      'item',
      'manyMissing',
      'missing',
      'misspelt',
      'name',
      'noContent',
      'renderLocale',
      'renderName',
      'similarLocale',
      'twoContents',
      'type',
      'undefinedContent',
      'unknownLocale',
      'waitMisspelt',
      'withoutData',
    ])
    expect(errors['misspelt']?.join()).toContain("'wen'")
    expect(errors['missing']?.join()).toContain("'id'")
  })

  it('accept the locales of the strings of the t helper, and no locale where there is none', async () => {
    const strings = await folderOf({
      'a.mjml': `<mjml><mj-body><mj-section><mj-column><mj-text>{{t "hi"}}</mj-text></mj-column></mj-section></mj-body></mjml>`,
      'locales/en.json': '{"hi": "Hi"}',
      'locales/de.json': '{"hi": "Hallo"}',
    })
    const mail = (locale: string) => `{ template: 'a', to: 'a@b.example', locale: '${locale}' }`
    const mails = { en: mail('en'), swiss: mail('de-CH'), fr: mail('fr') }
    const red = (errors: Record<string, string[]>) =>
      Object.keys(errors).filter((name) => errors[name]?.length)
    expect(red(await complaints(mails, generateTypeDeclarations(await readManifests(strings))))).toEqual([
      'fr',
    ])
    const plain = await folderOf({ 'a.mjml': TEMPLATES['plain-news.mjml'] })
    const none = await complaints(mails, generateTypeDeclarations(await readManifests(plain)))
    expect(red(none).sort()).toEqual(['en', 'fr', 'swiss'])
  })

  it('accept everything until the declarations are written', async () => {
    const errors = await complaints(
      { any: `{ template: 'whatever', to: 'a@b.example', data: { x: 1 } }` },
      'export {}\n',
    )
    expect(errors).toEqual({ any: [] })
  })

  it('are written and checked by threadpost types', async () => {
    const dir = await folderOf(TEMPLATES)
    const out = path.join(dir, 'types.d.ts')
    const run = (...flags: string[]) => threadpost('types', '--templates', dir, '--out', out, ...flags)
    expect(await run('--check')).toMatchObject({ code: 1, stderr: expect.stringContaining('does not exist') })
    expect(await run()).toMatchObject({ code: 0, stdout: expect.stringContaining('2 templates') })
    expect(await run('--check')).toMatchObject({ code: 0 })
    await writeFile(
      path.join(dir, 'plain-news.mjml'),
      TEMPLATES['plain-news.mjml'].replace('News', '{{title}}'),
    )
    expect(await run('--check')).toMatchObject({ code: 1, stderr: expect.stringContaining('out of date') })
    await writeFile(path.join(dir, 'order.mjml'), '{{#if')
    expect(await run()).toMatchObject({ code: 1, stderr: expect.stringContaining('order') })
    expect(JSON.parse((await run('--json')).stdout)).toMatchObject({ out, templates: 1, written: false })
  })

  it('are written again by threadpost types --watch when a template changes', async () => {
    const dir = await folderOf(TEMPLATES)
    const out = path.join(dir, 'types.d.ts')
    const args = ['types', '--templates', dir, '--out', out, '--watch', '--json']
    const watching = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(async () => {
      watching.kill()
      if (watching.exitCode === null && watching.signalCode === null) await once(watching, 'exit')
    })
    const lines = createInterface({ input: watching.stdout })[Symbol.asyncIterator]()
    const next = async () => JSON.parse(((await lines.next()) as { value: string }).value) as object
    expect(await next()).toMatchObject({ written: true, templates: 2 })
    await writeFile(path.join(dir, 'order.mjml'), TEMPLATES['order.mjml'].replace('{{id}}', '{{number}}'))
    expect(await next()).toMatchObject({ written: true, state: 'stale' })
    expect(await readFile(out, 'utf8')).toContain('number: ')
  })
})
