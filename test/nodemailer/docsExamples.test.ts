import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { ThreadpostError } from 'threadpost'
import nodemailer, { type Transporter } from 'threadpost/nodemailer'
import { expect, it, onTestFinished } from 'vitest'
import { folderOf } from '../support/folder.js'
import { testInbox } from '../support/mailer.js'
import { docsExamples, EVENT, type Example, type ExampleWorld } from './support/docsExamples.js'

const FILES: Record<string, string> = {
  'content.html': '<p>content</p>',
  'report.pdf': '%PDF',
  'notes.txt': 'notes',
  'license.txt': 'MIT',
  'message.eml': 'From: sender@example.com\r\nSubject: Hi\r\n\r\nHello world!\r\n',
  'invite.ics': EVENT('PUBLISH'),
  'cancel.ics': EVENT('CANCEL'),
  ...Object.fromEntries(['image', 'logo', 'chart', 'badge'].map((name) => [`${name}.png`, 'png'])),
}

/** The rows of the chapter's table: example and verdict. */
function rows(): Map<string, string> {
  const chapter = readFileSync(path.resolve(import.meta.dirname, '../../src/nodemailer/README.md'), 'utf8')
  const section = chapter.split("\n## Examples of nodemailer's documentation\n")[1]?.split('\n## ')[0] ?? ''
  const cells = section.split('\n').flatMap((line) => {
    const [, page, example, verdict] =
      line.split(' | ').length === 3 ? (/^\| (.*?) +\| (.*?) +\| (.*?) +\|$/.exec(line) ?? []) : []
    return page === undefined || page === 'page' || page.startsWith('-')
      ? []
      : [[`${page}: ${example?.replaceAll('`', '')}`, verdict] as [string, string]]
  })
  return new Map(cells)
}

async function world(): Promise<ExampleWorld> {
  const folder = await folderOf(FILES)
  const files = createServer((request, response) => {
    const content = FILES[path.basename(request.url ?? '')]
    response.writeHead(content === undefined ? 404 : 200).end(content)
  })
  await new Promise<void>((resolve) => files.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void files.close())
  const inbox = await testInbox({ keep: 1_000 })
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return {
    file: (name) => path.join(folder, name),
    url: (name) => `http://127.0.0.1:${(files.address() as AddressInfo).port}/${name}`,
    server: { host: inbox.host, port: inbox.port },
    dkimKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

function create({ options = {}, defaults = {}, plugins = [] }: Example, server: object): Transporter {
  const own = ['host', 'url', 'service', 'sendmail', 'SES', 'send'].some((key) => key in options)
  const transporter = nodemailer.createTransport(own ? options : { ...server, ...options }, defaults, {
    threads: 0,
    allowPrivateHosts: true,
  })
  for (const [step, plugin] of plugins) transporter.use(step, plugin)
  return transporter
}

async function run(example: Example, server: object): Promise<void> {
  const { message = {}, call } = example
  if (call === 'createTestAccount') nodemailer.createTestAccount()
  const transporter = create(example, server)
  try {
    if (call === 'set') transporter.set()
    if (example.createOnly === true) return
    if (call === 'verify') expect(await transporter.verify()).toBe(true)
    else if (call === 'callback')
      await new Promise<void>((resolve, reject) =>
        transporter.sendMail(message, (error) => (error === null ? resolve() : reject(error))),
      )
    else expect((await transporter.sendMail(message)).messageId).toMatch(/@/)
  } finally {
    await transporter.close()
  }
}

async function verdictOf(example: Example, server: object): Promise<string> {
  try {
    await run(example, server)
    return 'unchanged'
  } catch (error) {
    if (!(error instanceof ThreadpostError) || error.code !== 'UNSUPPORTED') throw error
    const sentence = error.message.replace(`${error.path}: threadpost/nodemailer does not support this. `, '')
    return `refused: \`${error.path}\`: ${sentence}`
  }
}

it("the examples of nodemailer's documentation run, or are refused, as the table says", async () => {
  const known = await world()
  const verdicts = new Map<string, string>()
  for (const [name, example] of Object.entries(docsExamples(known)))
    verdicts.set(
      name,
      await verdictOf(example, known.server).catch((error: unknown) => `failed: ${String(error)}`),
    )
  expect(Object.fromEntries(rows())).toEqual(Object.fromEntries(verdicts))
}, 120_000)
