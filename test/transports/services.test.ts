import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { PluginSender } from '../../workers/transports/pluginSender.js'
import { folderOf } from '../support/folder.js'
import { MailApi, PLUGIN, SECRET, SENDGRID, SES } from '../support/mailApi.js'
import { testMailer } from '../support/mailer.js'
import { fillUp, smallDisk } from '../support/smallDisk.js'
import { transportSuite } from '../support/transportSuite.js'

const mail = { to: 'ada@example.com', subject: 'Hi', text: 'Hello' }
const plugin = path.join(import.meta.dirname, '../support', 'httpPlugin.cjs')

describe('SendGrid', () => {
  transportSuite(SENDGRID, (endpoint) => ({ url: 'sendgrid:', apiKey: SECRET, endpoint }))

  it('receives the mail in the format of its API', async () => {
    const api = await MailApi.start(SENDGRID)
    const mailer = await testMailer({ transport: { url: `sendgrid://${SECRET}@`, endpoint: api.url } })
    await mailer.sendAndWait({
      from: 'Acme <hello@acme.example>',
      to: 'ada@example.com',
      cc: 'ada@example.com',
      replyTo: 'help@acme.example',
      subject: 'Hi',
      text: 'Hello',
      html: '<img src="cid:logo">',
      headers: { 'X-Kind': 'test' },
      attachments: [
        { filename: 'logo.png', content: Buffer.from([1, 2, 3]), contentType: 'image/png', cid: 'logo' },
      ],
    })
    expect(JSON.parse(api.taken[0]?.text ?? '')).toMatchObject({
      personalizations: [{ to: [{ email: 'ada@example.com' }] }],
      from: { email: 'hello@acme.example', name: 'Acme' },
      reply_to_list: [{ email: 'help@acme.example' }],
      subject: 'Hi',
      content: [
        { type: 'text/plain', value: 'Hello' },
        { type: 'text/html', value: '<img src="cid:logo">' },
      ],
      attachments: [
        {
          content: 'AQID',
          filename: 'logo.png',
          type: 'image/png',
          disposition: 'inline',
          content_id: 'logo',
        },
      ],
      headers: { 'X-Kind': 'test' },
    })
  })

  it('names no address twice in any letter case, and every value of a header', async () => {
    const api = await MailApi.start(SENDGRID)
    const mailer = await testMailer({ transport: { url: 'sendgrid:', apiKey: SECRET, endpoint: api.url } })
    const message = await mailer.sendAndWait({
      to: ['Ada@example.com', 'ada@EXAMPLE.com'],
      cc: ['ada@example.com', 'bob@bücher.example'],
      bcc: ['BOB@xn--bcher-kva.example', 'eve@example.com'],
      sender: 'Büro <office@acme.example>',
      subject: 'Hi',
      text: 'Hello',
      headers: { 'X-Tag': ['a', 'b'], 'x-tag': 'ü', 'List-Id': 'Größe <l.acme.example>' },
    })
    expect(message.status).toBe('sent')
    const { personalizations, headers } = JSON.parse(api.taken[0]?.text ?? '') as Record<string, unknown>
    expect(personalizations).toEqual([
      {
        to: [{ email: 'Ada@example.com' }],
        cc: [{ email: 'bob@xn--bcher-kva.example' }],
        bcc: [{ email: 'eve@example.com' }],
      },
    ])
    expect(headers).toMatchObject({
      'X-Tag': 'a, b, =?UTF-8?Q?=C3=BC?=',
      'List-Id': '=?UTF-8?Q?Gr=C3=B6=C3=9Fe?= <l.acme.example>',
      Sender: '=?UTF-8?Q?B=C3=BCro?= <office@acme.example>',
    })
  })

  it('gets tags as categories, and only checks the mail in sandbox mode', async () => {
    const api = await MailApi.start(SENDGRID)
    const transport = { url: 'sendgrid:', apiKey: SECRET, endpoint: api.url }
    const mail = { to: 'ada@example.com', subject: 'Hi', text: 'Hello' }
    const tags = Array.from({ length: 12 }, (_, n) => `t${n}`)
    await (await testMailer({ transport })).sendAndWait({ ...mail, tags: ['t0', ...tags] })
    await (await testMailer({ transport: { ...transport, sandbox: true } })).sendAndWait(mail)
    const [live, sandbox] = api.taken.map(({ text }) => JSON.parse(text) as Record<string, unknown>)
    expect(live?.['categories']).toEqual(tags.slice(0, 10))
    expect(live).not.toHaveProperty('mail_settings')
    expect(sandbox?.['mail_settings']).toEqual({ sandbox_mode: { enable: true } })
    expect(sandbox).not.toHaveProperty('categories')
  })

  it('sends one mail per blind recipient, so that none sees the others', async () => {
    const api = await MailApi.start(SENDGRID)
    const mailer = await testMailer({ transport: { url: 'sendgrid:', apiKey: SECRET, endpoint: api.url } })
    await mailer.sendAndWait({ bcc: ['ada@example.com', 'bob@example.com'], subject: 'Hi', text: 'Hello' })
    expect((JSON.parse(api.taken[0]?.text ?? '') as { personalizations: unknown }).personalizations).toEqual([
      { to: [{ email: 'ada@example.com' }] },
      { to: [{ email: 'bob@example.com' }] },
    ])
  })
})

describe('Amazon SES', () => {
  transportSuite(SES, (endpoint) => ({
    url: 'ses://eu-central-1',
    credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: SECRET },
    endpoint,
  }))

  it('without a region fails at the start', async () => {
    vi.stubEnv('AWS_REGION', undefined)
    vi.stubEnv('AWS_DEFAULT_REGION', undefined)
    vi.stubEnv('AWS_CONFIG_FILE', '/dev/null')
    onTestFinished(() => void vi.unstubAllEnvs())
    await expect(testMailer({ transport: 'ses:', threads: 0 })).rejects.toMatchObject({
      code: 'START_FAILED',
      message: expect.stringContaining('needs a region'),
    })
  })
})

describe('a nodemailer plugin', () => {
  transportSuite(PLUGIN, (url) => ({ module: plugin, options: { url, secret: SECRET } }), {
    honoursRetryAfter: false,
  })

  it('that is not installed fails at the start', async () => {
    for (const threads of [0, 1])
      await expect(testMailer({ transport: { module: 'no-such-transport' }, threads })).rejects.toMatchObject(
        {
          code: 'START_FAILED',
          message: expect.stringContaining('npm install no-such-transport'),
        },
      )
  })
})

/** Notes what is done to it, and holds what it is to send until there is a file `go`. */
const NOTING = `
const fs = require('node:fs')
module.exports = ({ n, folder }) => {
  const note = (what) => fs.appendFileSync(folder + '/notes', what + ' ' + n + '\\n')
  return {
    name: 'noting',
    version: '1',
    send(mail, callback) {
      note('begin')
      const timer = setInterval(() => {
        if (!fs.existsSync(folder + '/go')) return
        clearInterval(timer)
        note('end')
        callback(null, {})
      }, 5)
    },
    verify: (callback) => n === 1 && callback(),
    close: () => note('close'),
  }
}
`

describe('a plugin that', () => {
  const noting = async () => {
    const folder = await folderOf({ 'noting.cjs': NOTING, notes: '' })
    const notes = async () => (await readFile(`${folder}/notes`, 'utf8')).trim().split('\n')
    return { folder, notes, at: (n: number) => ({ module: `${folder}/noting.cjs`, options: { n, folder } }) }
  }

  it('is replaced finishes its calls, and is closed', async () => {
    const { folder, notes, at } = await noting()
    const mailer = await testMailer({ transport: at(1), concurrency: 2 })
    const first = await mailer.send(mail)
    await expect.poll(notes).toEqual(['begin 1'])
    await mailer.reload({ transport: at(2) })
    const second = await mailer.send(mail)
    await expect.poll(notes).toEqual(['begin 1', 'begin 2'])
    await writeFile(`${folder}/go`, '')
    for (const { id } of [first, second])
      expect(await mailer.wait(id)).toMatchObject({ status: 'sent', attempts: [{ code: 'OK' }] })
    await expect
      .poll(async () => (await notes()).filter((line) => line.endsWith('1')))
      .toEqual(['begin 1', 'end 1', 'close 1'])
    await mailer.close()
    expect((await notes()).filter((line) => line.startsWith('close'))).toEqual(['close 1', 'close 2'])
  })

  it('has twelve calls at a time makes Node warn of nothing', async () => {
    const { folder, notes, at } = await noting()
    const mailer = await testMailer({ transport: at(1), threads: 0, concurrency: 12 })
    const receipts = await mailer.sendMany(Array.from({ length: 12 }, () => mail))
    await expect.poll(notes).toHaveLength(12)
    await writeFile(`${folder}/go`, '')
    for (const receipt of receipts)
      expect(await mailer.wait('id' in receipt ? receipt.id : '')).toMatchObject({ status: 'sent' })
  })

  it('calls back without arguments is verified; one that never calls back times out', async () => {
    const { at } = await noting()
    const sender = (n: number) => new PluginSender({ kind: 'plugin', name: 'noting', ...at(n) }, 1)
    expect(await sender(1).verify()).toMatchObject({ ok: true })
    const silent = sender(2)
    await silent.ready()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const report = silent.verify()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(await report).toMatchObject({ ok: false, message: 'no answer within the time limit' })
  })
})

describe('a folder', () => {
  it('receives a file for each message, and is tested by verify()', async () => {
    const folder = await folderOf({ blocked: 'a file' })
    const mailer = await testMailer({
      transports: { folder: `file:${folder}/out`, blocked: { url: `file:${folder}/blocked` } },
    })
    const message = await mailer.sendAndWait(mail)
    expect(message.status).toBe('sent')
    expect(await readdir(`${folder}/out`)).toEqual([`${message.id}.eml`])
    expect(await readFile(`${folder}/out/${message.id}.eml`, 'utf8')).toMatch(
      /^From: .*\r\nTo: ada@example.com\r\n/s,
    )
    expect(await mailer.verify()).toMatchObject({ ok: true, host: `${folder}/out` })
    expect(await readdir(`${folder}/out`)).toHaveLength(1)
    expect(await mailer.verify('blocked')).toMatchObject({ ok: false, code: 'CONNECTION_FAILED' })
    const open = new Promise((resolve) => mailer.once('breaker-open', resolve))
    await mailer.send({ ...mail, transport: 'blocked' })
    expect(await open).toMatchObject({ transport: 'blocked', code: 'CONNECTION_FAILED' })
  })

  it('holds mail with a clear reason while its disk is full, leaves no incomplete file, and resumes by itself', async (test) => {
    const disk = await smallDisk(1)
    if (disk === undefined) return test.skip('a small disk can only be mounted by root')
    const out = path.join(disk, 'out')
    await mkdir(out)
    const ballast = path.join(disk, 'ballast')
    await fillUp(ballast)
    const mailer = await testMailer({
      transport: `file:${out}`,
      breaker: { probeDelay: 50, maxProbeDelay: 50 },
    })
    const open = new Promise((resolve) => mailer.once('breaker-open', resolve))
    const { id } = await mailer.send(mail)
    expect(await open).toMatchObject({
      code: 'CONNECTION_FAILED',
      message: expect.stringContaining('the disk is full'),
    })
    expect(await readdir(out)).toEqual([])
    await rm(ballast)
    expect(await mailer.wait(id)).toMatchObject({ status: 'sent' })
    expect(await readdir(out)).toEqual([`${id}.eml`])
  })
})

it.each([
  ['SendGrid', SENDGRID, (endpoint: string) => ({ url: 'sendgrid:', apiKey: SECRET, endpoint })],
  [
    'Amazon SES',
    SES,
    (endpoint: string) => ({
      url: 'ses://eu-central-1',
      credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: SECRET },
      endpoint,
    }),
  ],
] as const)(
  '%s gets no message with more recipients, or of a larger size, than it accepts',
  async (_, dialect, at) => {
    const api = await MailApi.start(dialect)
    const mailer = await testMailer({
      transport: at(api.url),
      threads: 0,
      limits: { recipients: 1_100, message: 100_000_000 },
    })
    const to = Array.from({ length: 1_001 }, (__, index) => `a${index}@example.com`)
    expect(await mailer.sendAndWait({ ...mail, to })).toMatchObject({
      status: 'failed',
      attempts: [{ code: 'INVALID_MESSAGE' }],
    })
    const attachments = [{ filename: 'large.bin', content: Buffer.alloc(32_000_000) }]
    expect(await mailer.sendAndWait({ ...mail, attachments })).toMatchObject({
      status: 'failed',
      attempts: [{ code: 'SIZE_EXCEEDED' }],
    })
    expect(api.moods).toEqual([])
  },
)

it.each([
  [{ url: 'sendgrid:' }, 'transport.apiKey'],
  [{ url: 'sendgrid:', apiKey: 'x', endpoint: 'http://mail.example' }, 'transport.endpoint'],
  [{ url: 'ses:', credentials: { accessKeyId: 'x' } }, 'transport.credentials.secretAccessKey'],
  [{ url: 'sendgrid:', apiKey: 'x\ny' }, 'transport.apiKey'],
  [{ url: 'sendgrid:', apiKey: 'x', region: 'eu-central-1' }, 'transport.region'],
  [{ url: 'ses:', apiKey: 'x' }, 'transport.apiKey'],
  ['ses:eu-central-1', 'transport'],
  [{ ses: { region: 'eu-central-1' } }, 'transport.ses'],
  [{ host: 'smtp.example.com', port: 587 }, 'transport.host'],
  [{ url: 'smtp://127.0.0.1', apiKey: 'x' }, 'transport.apiKey'],
  [{ url: 'file:./x', tls: {} }, 'transport.tls'],
  [{ url: 'inbox:', tls: 5 }, 'transport.tls'],
  [{ url: 'inbox:', auth: { user: 'x', pass: 'y' } }, 'transport.auth'],
  [{ url: 'inbox:', dkim: { domain: 'x' } }, 'transport.dkim.selector'],
  ['file:', 'transport'],
  [{ module: '' }, 'transport.module'],
  [{ module: 'x', url: 'smtp:' }, 'transport.url'],
] as const)('what makes no sense is refused: %j', async (transport, at) => {
  await expect(testMailer({ transport: transport as never })).rejects.toMatchObject({
    code: 'INVALID_OPTIONS',
    path: at,
  })
})
