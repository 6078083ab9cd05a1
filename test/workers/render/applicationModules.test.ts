import { writeFile, utimes } from 'node:fs/promises'
import path from 'node:path'
import { createMailer, type MailerEvents, type MailerOptions } from 'threadpost'
import { describe, expect, it } from 'vitest'
import { folderOf } from '../../support/folder.js'
import { mailerWithInbox } from '../../support/mailer.js'

const page = (body: string): string =>
  `<mjml><mj-head><mj-title>{{@app.brand}}</mj-title></mj-head><mj-body><mj-section><mj-column><mj-text>${body}</mj-text></mj-column></mj-section></mj-body></mjml>`

const SETUP = `
let runs = 0
export async function setup({ helper, globals, log }) {
  await Promise.resolve()
  const run = ++runs
  log.info({ brand: globals.brand, lost: () => 0 }, 'ready')
  helper('price', (cents) => { log.warn('priced'); return globals.currency + (cents / 100).toFixed(2) + ' run ' + run })
  return () => log.info({ run }, 'closed')
}`

const files = {
  'a.mjml': page('{{price 450}} {{loud "x"}} {{own}}'),
  'helpers.js': 'export const own = () => "own"\nexport const loud = () => "shadowed"',
}
const modules = { 'setup.mjs': SETUP, 'more.mjs': 'export const loud = (text) => text.toUpperCase()' }

interface Line {
  level: string
  fields: Record<string, unknown>
  message: string
}

/** A logger that keeps its lines. */
function lines() {
  const kept: Line[] = []
  const at = (level: string) => (fields: object, message: string) =>
    void kept.push({ level, fields: { ...fields }, message })
  return { kept, logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } }
}

async function templatesOf(app = modules): Promise<MailerOptions['templates'] & object & { folder: string }> {
  const folder = await folderOf({ ...app })
  return {
    folder,
    dir: await folderOf(files),
    globals: { brand: 'Northwind', currency: '€' },
    setup: path.join(folder, 'setup.mjs'),
    helpers: new URL(`file://${folder}/more.mjs`),
  }
}

describe.each([0, 2])('the application modules of a mailer with %i threads', (threads) => {
  it('run setup once in each thread, register helpers, and write to the log in order', async () => {
    const { folder: _, ...templates } = await templatesOf()
    const { kept, logger } = lines()
    const { mailer, inbox } = await mailerWithInbox({ templates, threads, logger })
    const { id } = await mailer.send({ template: 'a', to: 'ada@example.com' })
    expect(await mailer.wait(id)).toMatchObject({ status: 'sent' })
    const mail = await inbox.waitFor({ subject: 'Northwind' })
    expect(mail.text).toContain('€4.50 run 1 X own')
    await expect
      .poll(() => kept.filter(({ message }) => message === 'ready'))
      .toHaveLength(Math.max(1, threads))
    expect(kept.find(({ message }) => message === 'ready')?.fields).toMatchObject({ brand: 'Northwind' })
    expect(kept.find(({ message }) => message === 'priced')).toMatchObject({
      level: 'warn',
      fields: { id, attempt: 1, template: 'a', thread: threads === 0 ? 0 : expect.any(Number) },
    })
    await mailer.close()
    expect(kept.filter(({ message }) => message === 'closed')).toHaveLength(Math.max(1, threads))
  })

  it('can be reloaded while mail is being sent, without losing any', async () => {
    const { folder, ...templates } = await templatesOf()
    const { mailer, inbox } = await mailerWithInbox({ templates, threads })
    const mails = Array.from({ length: 200 }, () => ({ template: 'a', to: 'ada@example.com' }))
    const before = await mailer.sendMany(mails)
    await writeFile(path.join(folder, 'more.mjs'), 'export const loud = () => "changed"')
    await utimes(path.join(folder, 'more.mjs'), new Date(), new Date(Date.now() + 5_000))
    await mailer.reload({ templates: { globals: { brand: 'Southwind', currency: '$' } } })
    const { id } = await mailer.send({ template: 'a', to: 'ada@example.com' })
    expect(await mailer.wait(id)).toMatchObject({ status: 'sent' })
    expect((await inbox.waitFor({ subject: 'Southwind' })).text).toMatch(/\$4\.50 run \d changed own/)
    const ids = before.map((receipt) => ('id' in receipt ? receipt.id : ''))
    for (const one of await Promise.all(ids.map((each) => mailer.wait(each)))) expect(one.status).toBe('sent')
  })

  it('report why they fail at the start, and a failed reload changes nothing', async () => {
    const { folder, ...templates } = await templatesOf()
    const bad = path.join(folder, 'bad.mjs')
    await writeFile(bad, 'export const setup = () => { throw new Error("no price list") }')
    const started = createMailer({
      transport: 'smtp://127.0.0.1:9',
      templates: { ...templates, setup: bad },
      threads,
    })
    await expect(started).rejects.toMatchObject({
      code: 'START_FAILED',
      message: expect.stringContaining('no price list'),
    })
    const missing = { ...templates, helpers: path.join(folder, 'none.mjs') }
    await expect(
      createMailer({ transport: 'smtp://127.0.0.1:9', templates: missing, threads }),
    ).rejects.toMatchObject({
      code: 'START_FAILED',
      message: expect.stringContaining('none.mjs'),
    })

    const { mailer } = await mailerWithInbox({ templates, threads })
    const change = mailer.reload({ templates: { globals: { brand: 'No' }, setup: bad } })
    await expect(change).rejects.toMatchObject({
      code: 'INVALID_OPTIONS',
      message: expect.stringContaining('no price list'),
    })
    expect(await mailer.render('a')).toMatchObject({ subject: 'Northwind' })
  })
})

it.each(['for (;;);', 'await new Promise(() => setInterval(() => undefined, 100))'])(
  'a setup module that never ends is reported at the start, with the limit: %s',
  async (endless) => {
    const { folder: _, ...templates } = await templatesOf({
      ...modules,
      'setup.mjs': `export async function setup() { ${endless} }`,
    })
    const limits = { start: 1_000, render: 100 }
    const transport = 'smtp://127.0.0.1:9'
    await expect(createMailer({ transport, templates, threads: 1, limits })).rejects.toMatchObject({
      code: 'START_FAILED',
      message: expect.stringMatching(/^The mailer can't start: .* \(limits\.start\)$/),
    })
  },
)

it('a setup module that logs without end is limited to a bounded number of lines', async () => {
  const { kept, logger } = lines()
  const folder = await folderOf({
    'setup.mjs':
      'export const setup = ({ helper, log }) => helper("chat", () => { for (let i = 0; i < 50_000; i++) log.info({ i }, "x".repeat(9_999)) })',
  })
  const dir = await folderOf({ 'a.mjml': page('{{chat}}') })
  const { mailer } = await mailerWithInbox({
    templates: { dir, setup: path.join(folder, 'setup.mjs') },
    logger,
  })
  await mailer.render('a')
  const chat = kept.filter(({ message }) => message.startsWith('xxx'))
  expect(chat.length).toBeGreaterThan(900)
  expect(chat.length).toBeLessThan(10_000)
  expect(chat[0]?.message).toHaveLength(2_000)
  expect(chat.slice(0, 900).map(({ fields }) => fields['i'])).toEqual(
    Array.from({ length: 900 }, (_, i) => i),
  )
})

it('a setup that fails when a thread is replaced loses no mail and uses up no attempt, because it is tried again', async () => {
  const folder = await folderOf({ flag: 'up' })
  const flag = path.join(folder, 'flag')
  await writeFile(
    path.join(folder, 'setup.mjs'),
    `import { readFileSync } from 'node:fs'
     export const setup = ({ helper }) => {
       if (readFileSync(${JSON.stringify(flag)}, 'utf8') !== 'up') throw new Error('the price list is away')
       helper('die', (deadly) => { if (deadly) process.exit(1) })
     }`,
  )
  const dir = await folderOf({ 'a.mjml': page('{{die deadly}}') })
  const { mailer } = await mailerWithInbox({
    templates: { dir, setup: path.join(folder, 'setup.mjs') },
    retry: { attempts: 1 },
  })
  const held: MailerEvents['held'][] = []
  mailer.on('held', (event) => held.push(event))
  await writeFile(flag, 'down')
  const poison = await mailer.send({ template: 'a', to: 'ada@example.com', data: { deadly: true } })
  const mail = { template: 'a', to: 'ada@example.com', data: { deadly: false } }
  const { id } = await mailer.send(mail)
  const reason = expect.stringContaining('the price list is away')
  await expect.poll(() => held[0]).toMatchObject({ heldReason: 'setup', outcome: { message: reason } })

  // No thread is asked for a message that is sent now.
  await expect.poll(async () => (await mailer.stats()).setup).toMatchObject({ message: reason })
  const later = await mailer.send(mail)
  await expect
    .poll(() => held.find((event) => event.id === later.id))
    .toMatchObject({ heldReason: 'setup', outcome: { message: reason } })
  for (const event of held) {
    const message = await mailer.find(event.id)
    expect(message?.attempts.filter(({ counted }) => counted)).toEqual([])
  }
  await writeFile(flag, 'up')
  for (const each of [id, later.id]) expect(await mailer.wait(each)).toMatchObject({ status: 'sent' })
  expect(await mailer.wait(poison.id)).toMatchObject({
    status: 'failed',
    attempts: expect.arrayContaining([expect.objectContaining({ code: 'POISON' })]),
  })
})
