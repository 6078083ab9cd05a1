import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { access, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { createMailer, type MailerOptions } from 'threadpost'
import { metricsRegistry } from 'threadpost/express'
import { expect, it } from 'vitest'
import { Clock } from '../../src/clock.js'
import { Archive } from '../../src/delivery/archive.js'
import { folderOf } from '../support/folder.js'
import { mailerWithInbox, testMailer } from '../support/mailer.js'
import { CLOSE, ScriptedServer } from '../support/scriptedServer.js'

const { privateKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
})
const dkim = { domain: 'acme.example', selector: 's1', privateKey }
const mail = { to: 'ada@example.com', bcc: 'eve@example.com', subject: 'Hi', text: '.Hello\n..Ada' }

/** The archived messages, in the order of their names. */
async function archived(dir: string): Promise<{ name: string; text: string }[]> {
  const files = await readdir(dir, { recursive: true })
  const names = files.filter((name) => !/^\d{4}-\d\d-\d\d$/.test(name)).toSorted()
  return Promise.all(
    names.map(async (name) => ({ name, text: await readFile(path.join(dir, name), 'latin1') })),
  )
}

const sorted = (texts: readonly string[]): string[] => texts.toSorted()

it.each([
  ['DATA, in the calling thread', ['PIPELINING', '8BITMIME'], 0],
  ['BDAT, eight messages in flight', ['PIPELINING', 'CHUNKING', '8BITMIME'], 1],
] as const)('the archive has the octets that the server received: %s', async (_, extensions, threads) => {
  const dir = path.join(await folderOf({}), 'archive')
  const server = await ScriptedServer.start({ extensions: [...extensions] })
  const transport = { url: `smtp://127.0.0.1:${server.port}`, dkim, pipelineDepth: 8 }
  const mailer = await createMailer({
    transport,
    from: 'hello@acme.example',
    threads,
    concurrency: 1,
    archive: dir,
  })
  const attachments = [{ filename: 'large.bin', content: randomBytes(3_000_000) }]
  const raw = 'From: hello@acme.example\nSubject: Raw\n\n.dot\r\n..dots\rend'
  const receipts = await mailer.sendMany([
    ...Array.from({ length: 12 }, (__, index) => ({ ...mail, subject: `m${index}` })),
    { ...mail, attachments },
    { raw, envelope: { from: 'hello@acme.example', to: ['ada@example.com'] } },
  ])
  for (const receipt of receipts) if ('id' in receipt) await mailer.wait(receipt.id, { timeout: 240_000 })
  await mailer.close()
  const files = await archived(dir)
  const texts = files.map(({ text }) => text)
  expect(sorted(texts)).toEqual(sorted(server.messages.map(({ data }) => data)))
  expect(files).toHaveLength(14)
  for (const { name, text } of files) {
    expect(name).toMatch(/^\d{4}-\d\d-\d\d\/\d{9}-[\w-]+-1\.eml$/)
    expect(text).not.toContain('eve@')
    expect(text).toContain('DKIM-Signature: ')
  }
  const file = path.join(dir, files[0]?.name ?? '')
  const modes = await Promise.all(
    [dir, path.dirname(file), file].map(async (name) => (await stat(name)).mode & 0o777),
  )
  expect(modes).toEqual([0o700, 0o700, 0o600])
})

it('the archive has what a plugin built, marks what may have been sent, and has nothing that was refused', async () => {
  const dir = await folderOf({})
  const plugin = path.join(
    await folderOf({
      'keep.cjs': `module.exports = { name: 'keep', version: '1', send: (mail, done) => mail.message.build((error, bytes) => {
        require('node:fs').writeFileSync(__dirname + '/sent.eml', bytes); done(error, {}) }) }`,
    }),
    'keep.cjs',
  )
  const lost = await ScriptedServer.start({ dot: () => CLOSE })
  const refusing = await ScriptedServer.start({ dot: () => '550 5.7.1 no' })
  const transports = {
    plugin: { module: plugin },
    lost: `smtp://127.0.0.1:${lost.port}`,
    refusing: `smtp://127.0.0.1:${refusing.port}`,
  }
  const mailer = await testMailer({ transports, archive: { dir }, onUncertain: 'hold' })
  for (const transport of ['plugin', 'refusing']) {
    const { id } = await mailer.send({ ...mail, transport })
    await mailer.wait(id)
  }
  const held = new Promise((resolve) => mailer.on('held', resolve))
  await mailer.send({ ...mail, transport: 'lost' })
  await held
  expect(await mailer.stats()).toHaveProperty('archive.failed', 0)
  await mailer.close()
  const files = await archived(dir)
  expect(files.map(({ name }) => /-1(-uncertain)?\.eml$/.exec(name)?.[1])).toEqual([undefined, '-uncertain'])
  expect(files[0]?.text).toBe(await readFile(path.join(path.dirname(plugin), 'sent.eml'), 'latin1'))
  expect(files[1]?.text).toBe(lost.messages[0]?.data)
})

it('mail is sent when the archive can’t be written, with one log line and an alert, and is archived again afterwards', async () => {
  const dir = path.join(await folderOf({}), 'archive')
  const lines: string[] = []
  const note = (_: unknown, line?: string): void => void lines.push(line ?? '')
  const logger = { debug: () => undefined, info: note, warn: note, error: note }
  const { mailer, inbox } = await mailerWithInbox({
    archive: dir,
    threads: 2,
    logger,
    alerts: { interval: 20 },
  } satisfies Partial<MailerOptions>)
  const alerted = new Promise((resolve) => mailer.once('alert', resolve))
  await rm(dir, { recursive: true })
  await writeFile(dir, 'a file in the place of the folder')
  await Promise.all(Array.from({ length: 5 }, () => mailer.sendAndWait(mail)))
  expect(inbox.stored()).toHaveLength(5)
  await expect
    .poll(async () => (await mailer.stats()).archive)
    .toEqual({ stored: 0, failed: 5, failing: true, failingSince: expect.any(String) as string })
  expect(await alerted).toMatchObject({ rule: 'archive', limit: 0 })
  const metrics = await (await metricsRegistry(mailer)).metrics()
  expect(metrics).toContain('threadpost_archive_failing 1')
  expect(metrics).toContain('threadpost_archived_messages_total{result="failed"} 5')
  await rm(dir)
  await mailer.sendAndWait(mail)
  await mailer.close()
  expect(lines.filter((line) => line.includes('archive') && !line.startsWith('Alert'))).toEqual([
    'Messages are sent, but writing them to the archive fails',
  ])
  expect(await archived(dir)).toHaveLength(1)
})

it('a message that is sent alone, after its thread died, is archived before that thread ends', async () => {
  const dir = await folderOf({})
  const folder = await folderOf({
    'hi.mjml': '<mjml><mj-body><mj-raw>{{once}}</mj-raw></mj-body></mjml>',
    'helpers.mjs': `import { existsSync, writeFileSync } from 'node:fs'
      const flag = new URL('died', import.meta.url)
      export function once() { if (existsSync(flag)) return 'ok'; writeFileSync(flag, ''); process.exit(1) }`,
  })
  const templates = { dir: folder, helpers: path.join(folder, 'helpers.mjs') }
  const { mailer } = await mailerWithInbox({ archive: dir, templates })
  await mailer.sendAndWait({ to: 'ada@example.com', subject: 'Hi', template: 'hi', data: {} })
  expect(await mailer.stats()).toHaveProperty('threadRestarts', 1)
  expect(await archived(dir)).toHaveLength(1)
})

it('a mailer does not start with an archive that it can’t write, and the error shows no path', async () => {
  const dir = path.join(await folderOf({ taken: '' }), 'taken')
  const starting = createMailer({ transport: 'inbox:', from: 'a@acme.example', archive: dir })
  await expect(starting).rejects.toMatchObject({ code: 'START_FAILED', path: 'archive' })
  await expect(starting).rejects.not.toThrow(dir)
  for (const [archive, field] of [
    ['', 'archive'],
    [{ dir: 1 }, 'archive.dir'],
    [{ dir, maxSize: 0 }, 'archive.maxSize'],
  ] as const)
    await expect(createMailer({ transport: 'inbox:', archive } as MailerOptions)).rejects.toMatchObject({
      code: 'INVALID_OPTIONS',
      path: field,
    })
})

it('days beyond maxAge are removed, then the oldest messages beyond maxSize, and nothing else', async () => {
  const day = (ago: number): string =>
    new Date(Date.UTC(2026, 5, 30) - ago * 86_400_000).toISOString().slice(0, 10)
  const file = (index: number): string => `1200000${index}0-0199aabb-${index}-1.eml`
  const dir = await folderOf({
    [`${day(9)}/${file(1)}`]: 'x'.repeat(10),
    [`${day(9)}/.${file(2)}.part`]: 'x',
    [`${day(8)}/notes.txt`]: 'kept',
    [`${day(8)}/${file(1)}`]: 'x'.repeat(10),
    'other/kept.txt': 'kept',
  })
  const clock = new Clock()
  const quiet = {
    debug: () => undefined,
    info: () => undefined,
    warn: () => undefined,
    error: () => undefined,
  }
  const plan = { dir, maxAge: 5 * 86_400_000, maxSize: 45 }
  for (const ago of [2, 1]) {
    await mkdir(path.join(dir, day(ago)))
    for (const index of [1, 2, 3]) await writeFile(path.join(dir, day(ago), file(index)), 'x'.repeat(10))
  }
  clock.advance(Date.UTC(2026, 5, 30) - Date.now())
  const archive = await Archive.open(plan, clock, quiet)
  await archive.prune()
  const left = async (): Promise<string[]> =>
    (await readdir(dir, { recursive: true })).filter((name) => name.includes('.')).toSorted()
  const kept = [`${day(8)}/notes.txt`]
  const last = [1, 2, 3].map((index) => `${day(1)}/${file(index)}`)
  expect(await left()).toEqual([...kept, `${day(2)}/${file(3)}`, ...last, 'other/kept.txt'].toSorted())
  await expect(access(path.join(dir, day(9)))).rejects.toThrow('ENOENT')
  await writeFile(path.join(dir, day(1), file(4)), 'x'.repeat(25))
  await archive.prune()
  expect(await left()).toEqual(
    [...kept, ...last.slice(1), `${day(1)}/${file(4)}`, 'other/kept.txt'].toSorted(),
  )
  clock.advance(6 * 86_400_000)
  await archive.prune()
  expect(await left()).toEqual([...kept, 'other/kept.txt'])
  await archive.close()
})
