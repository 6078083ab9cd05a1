import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { folderOf } from '../support/folder.js'
import { loadedScripts } from '../support/loadedScripts.js'
import { testMailer, testSender } from '../support/mailer.js'

const mail = (text: string, title = 'Hi {{name}}'): string =>
  `<mjml><mj-head><mj-title>${title}</mj-title></mj-head><mj-body><mj-section><mj-column><mj-text>${text}</mj-text></mj-column></mj-section></mj-body></mjml>`

const FILES = {
  'templates/a.mjml': mail('{{shout name}}'),
  'templates/a.fr.mjml': mail('Bonjour {{name}}'),
  'templates/a.json': '{"@policy": {"priority": 9}, "name": "Ada"}',
  'templates/note.txt': 'Note: {{note}}',
  'templates/part.html': '<p>{{note}}</p>',
  'templates/helpers.mjs': 'export const shout = (text) => text.toUpperCase()',
}

/** A setup module that writes the URLs of all scripts of its thread to a file when it is closed. */
const NOTES_SCRIPTS = `import { Session } from 'node:inspector'
import { writeFileSync } from 'node:fs'
const session = new Session()
session.connect()
const scripts = []
session.on('Debugger.scriptParsed', ({ params }) => scripts.push(params.url))
session.post('Debugger.enable')
export const setup = ({ globals }) => () => writeFileSync(globals.file, JSON.stringify(scripts))
`

const to = 'ada@example.com'

/** A mailer that only accepts mail, with templates as they are in a project. */
async function sender(files: Record<string, string> = FILES) {
  const dir = await folderOf(files)
  const queue = `sqlite:${path.join(dir, 'outbox.db')}`
  const templates = path.join(dir, 'templates')
  return { dir, queue, templates, mailer: await testSender({ queue, templates }) }
}

describe("a mailer with role 'send' and a plain template folder", () => {
  it('reports unknown templates and missing data at send()', async () => {
    const { mailer } = await sender()
    await expect(mailer.send({ template: 'b', to })).rejects.toMatchObject({
      code: 'UNKNOWN_TEMPLATE',
      message: expect.stringContaining('Known templates: a, note') as string,
    })
    await expect(mailer.send({ template: 'part', to })).rejects.toMatchObject({
      code: 'UNKNOWN_TEMPLATE',
      message: expect.stringContaining(
        'no template is named "part": part.html has no <!doctype html>',
      ) as string,
    })
    await expect(mailer.send({ template: 'a', to, data: {} })).rejects.toMatchObject({
      code: 'MISSING_DATA',
      paths: ['name'],
    })
    await expect(mailer.send({ template: 'note', to, subject: 'A note' })).rejects.toMatchObject({
      code: 'MISSING_DATA',
      paths: ['note'],
    })
    const batch = await mailer.sendMany([
      { template: 'a', to, data: { name: 'Ada' } },
      { template: 'a', to, data: {} },
    ])
    expect(batch).toMatchObject([{ status: 'queued' }, { code: 'MISSING_DATA' }])
  })

  it('knows locales, samples, and policies', async () => {
    const { mailer } = await sender()
    expect(await mailer.describeTemplates()).toMatchObject([
      { name: 'a', locales: ['fr'], sample: { name: 'Ada' } },
      { name: 'note' },
    ])
    const { id } = await mailer.send({ template: 'a', to, data: { name: 'Ada' } })
    expect((await mailer.find(id))?.priority).toBe(9)
    expect((await mailer.stats()).threads).toEqual([])
  })

  it('parses the templates without MJML, in a thread that ends afterwards', async () => {
    const { queue, templates, dir } = await sender({ ...FILES, 'setup.mjs': NOTES_SCRIPTS })
    const file = path.join(dir, 'scripts.json')
    const setup = path.join(dir, 'setup.mjs')
    const code = `import { createMailer } from 'threadpost'
      const [queue, dir, setup, file] = process.argv.slice(2)
      const templates = { dir, setup, globals: { file } }
      const mailer = await createMailer({ role: 'send', from: 'a@b.example', queue, templates })
      await mailer.close()`
    // It resolves once the process has ended, which waits for its threads.
    const { scripts } = await loadedScripts({ code, args: [queue, templates, setup, file] })
    const inThread = JSON.parse(await readFile(file, 'utf8')) as string[]
    const loads = (name: string, all: string[]) => all.some((url) => url.includes(`/node_modules/${name}/`))
    expect(['handlebars', 'mjml'].map((name) => loads(name, inThread))).toEqual([true, false])
    expect(['handlebars', 'mjml'].map((name) => loads(name, scripts))).toEqual([false, false])
  })

  it('reads the folder again after a change', async () => {
    const { mailer, templates } = await sender()
    const outcome = () =>
      mailer.send({ template: 'later', to, subject: 'x' }).then(
        ({ status }) => status,
        (error: unknown) => (error as { code: string }).code,
      )
    expect(await outcome()).toBe('UNKNOWN_TEMPLATE')
    await writeFile(path.join(templates, 'later.txt'), 'Later')
    await expect.poll(outcome).toBe('queued')
  })

  it('queues mail that another process renders and delivers', async () => {
    const { mailer, queue, templates } = await sender()
    const { id } = await mailer.send({ template: 'a', to, data: { name: 'Ada' } })
    await mailer.close()
    const worker = await testMailer({ transport: 'inbox:', queue, templates })
    expect((await worker.wait(id, { timeout: 60_000 })).status).toBe('sent')
    expect((await worker.inbox?.waitFor())?.text).toContain('ADA')
  })

  it("fails to start if the folder doesn't exist, or a module of the application fails", async () => {
    const dir = await folderOf({
      'bad.mjs': 'export const setup = () => { throw new Error("no database") }',
      't/a.mjml': mail('x'),
    })
    const queue = `sqlite:${path.join(dir, 'outbox.db')}`
    await expect(testSender({ queue, templates: path.join(dir, 'nowhere') })).rejects.toMatchObject({
      code: 'START_FAILED',
      message: expect.stringContaining("doesn't exist") as string,
    })
    const templates = { dir: path.join(dir, 't'), setup: path.join(dir, 'bad.mjs') }
    await expect(testSender({ queue, templates })).rejects.toMatchObject({
      code: 'START_FAILED',
      message: expect.stringContaining('no database') as string,
    })
  })
})
