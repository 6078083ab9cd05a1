import { mkdir, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { Readable } from 'node:stream'
import PostalMime from 'postal-mime'
import { describe, expect, it } from 'vitest'
import { compose } from '../../workers/compose/compose.js'
import { toWirePayload } from '../../workers/wireForm.js'
import { folderOf } from '../support/folder.js'
import { testMailer } from '../support/mailer.js'
import { job, plain, refusal } from '../support/messageRules.js'
import { ScriptedServer } from '../support/scriptedServer.js'

const PARTS = { subject: '', html: '<p>Hi</p>', text: 'Hi' }
const composed = (mail: object) => compose(toWirePayload(job({ ...plain, ...mail })), PARTS)
const ICS = [
  'BEGIN:VCALENDAR',
  'VERSION:2.0',
  'PRODID:-//Acme//EN',
  'BEGIN:VEVENT',
  'UID:42@acme.example',
  'DTSTAMP:20260101T000000Z',
  'DTSTART:20260601T080000Z',
  'SUMMARY:Größe',
  'END:VEVENT',
  'END:VCALENDAR',
]

describe('an attached message', () => {
  const eml = (body: string) => `From: a@b.example\nSubject: Hi\n\n${body}\n.\n.x\n`

  it.each([
    ['7bit', eml('plain')],
    ['8bit', eml('Grüße')],
  ])('is sent as %s, never as base64 (RFC 2046 section 5.2.1)', async (encoding, content) => {
    const server = await ScriptedServer.start()
    const mailer = await testMailer({ transport: `smtp://127.0.0.1:${server.port}` })
    await mailer.sendAndWait({ ...plain, attachments: [{ filename: 'old.eml', content }] })
    const data = Buffer.from(server.messages[0]?.data ?? '', 'latin1')
    const part =
      data
        .toString()
        .split('\r\n--')
        .find((each) => each.includes('message/rfc822')) ?? ''
    expect(part).toContain(`Content-Transfer-Encoding: ${encoding}\r\n`)
    expect(part.slice(part.indexOf('\r\n\r\n') + 4)).toBe(content.replaceAll('\n', '\r\n'))
  })

  it('is a file like any other if it can only be sent encoded', async () => {
    for (const content of ['From: a@b.example\n\n' + 'x'.repeat(999), 'From: a@b.example\n\n\0']) {
      const { bytes } = composed({
        attachments: [{ filename: 'old.eml', content: Buffer.from(content), contentType: 'message/rfc822' }],
      })
      const [file] = (await PostalMime.parse(bytes)).attachments
      expect(file?.mimeType).toBe('application/octet-stream')
      expect(Buffer.from(file?.content as ArrayBuffer).toString()).toBe(content)
    }
  })

  it('is the only composite type that is accepted, and none is guessed', async () => {
    for (const contentType of [
      'message/partial',
      'message/external-body',
      'multipart/mixed',
      'message/rfc822x',
    ])
      expect(refusal({ ...plain, attachments: [{ content: 'x', contentType }] }).path).toBe(
        'attachments[0].contentType',
      )
    for (const filename of ['a.gzip', 'a.ustar', 'a.zip', 'a.mht', 'a.mime', 'a.eml', 'a', '.eml'])
      expect(composed({ attachments: [{ filename, content: 'x' }] }).bytes.toString()).not.toMatch(
        /Content-Type: (?:multipart\/(?!mixed|alternative|related)|message\/(?!rfc822))/,
      )
  })
})

describe('a calendar object', () => {
  it('is the last alternative and a file, with the same bytes, UID and method', async () => {
    for (const lineEnd of ['\n', '\r\n']) {
      const { bytes } = composed({ calendar: { content: ICS.join(lineEnd), method: 'REQUEST' } })
      const text = bytes.toString()
      const parts = text.split('\r\n--').map((each) => each.slice(each.indexOf('\r\n') + 2))
      const types = parts.map((each) => /^Content-Type: ([^;\r]+)/.exec(each)?.[1]).filter(Boolean)
      expect(types).toEqual([
        'multipart/alternative',
        'text/plain',
        'text/html',
        'text/calendar',
        'application/ics',
      ])
      expect(text).toContain('Content-Type: text/calendar; charset=utf-8; method=REQUEST\r\n')
      const contents = parts
        .filter((each) => /^Content-Type: (?:text\/calendar|application\/ics)/.test(each))
        .map((each) => Buffer.from(each.slice(each.indexOf('\r\n\r\n')), 'base64').toString())
      const body = `${ICS.slice(0, 1).join('')}\r\nMETHOD:REQUEST\r\n${ICS.slice(1).join('\r\n')}\r\n`
      expect(contents).toEqual([body, body])
      const { attachments } = await PostalMime.parse(bytes)
      expect(attachments.map(({ filename }) => filename)).toContain('invite.ics')
    }
  })

  it('takes its method from the content, and is a request without one', () => {
    const content = [ICS[0], 'METHOD:CANCEL', ...ICS.slice(1)].join('\r\n')
    expect(job({ ...plain, calendar: { content } }).attachments[0]?.calendar).toBe('CANCEL')
    expect(
      job({ ...plain, calendar: { content: Buffer.from(content), filename: 'cancel.ics' } }).attachments[0],
    ).toMatchObject({
      filename: 'cancel.ics',
      content: `${content}\r\n`,
    })
    const [request] = job({ ...plain, calendar: { content: ICS.join('\r\n') } }).attachments
    expect(request).toMatchObject({
      calendar: 'REQUEST',
      content: expect.stringContaining('\r\nMETHOD:REQUEST\r\n') as string,
    })
  })

  it.each([
    [
      'another method than its content',
      { content: [ICS[0], 'METHOD:REPLY', ...ICS.slice(1)].join('\n'), method: 'REQUEST' },
      'calendar.method',
    ],
    ['an unknown method', { content: ICS.join('\n'), method: 'ADD' }, 'calendar.method'],
    [
      'no UID',
      { content: ICS.filter((line) => !line.startsWith('UID')).join('\n'), method: 'REQUEST' },
      'calendar.content',
    ],
    ['no calendar', { content: 'x', method: 'REQUEST' }, 'calendar.content'],
    [
      'a path as its name',
      { content: ICS.join('\n'), method: 'REQUEST', filename: '../x' },
      'calendar.filename',
    ],
  ])('is refused with %s', (_, calendar, at) => {
    expect(refusal({ ...plain, calendar }).path).toBe(at)
  })
})

describe('a file or a stream', () => {
  async function sent(attachment: object, options: object = {}): Promise<Buffer> {
    const server = await ScriptedServer.start()
    const mailer = await testMailer({ transport: `smtp://127.0.0.1:${server.port}`, threads: 0, ...options })
    await mailer.sendAndWait({ ...plain, attachments: [attachment] })
    const { attachments } = await PostalMime.parse(server.messages[0]?.data ?? '')
    expect(attachments).toHaveLength(1)
    return Buffer.from(attachments[0]?.content as ArrayBuffer)
  }

  it('is read when the mail is accepted', async () => {
    const root = await folderOf({ 'a/report.pdf': 'bytes' })
    expect((await sent({ path: 'a/report.pdf' }, { attachmentRoot: root })).toString()).toBe('bytes')
    expect(
      (await sent({ path: path.join(root, 'a/../a/report.pdf') }, { attachmentRoot: root })).toString(),
    ).toBe('bytes')
    expect((await sent({ filename: 'a.txt', content: Readable.from(['a', 'b']) })).toString()).toBe('ab')
    const web = new Blob(['web']).stream()
    expect((await sent({ filename: 'a.txt', content: web })).toString()).toBe('web')
  })

  it('is refused outside attachmentRoot, by whatever way, and never read without that option', async () => {
    const outside = await folderOf({ 'secret.txt': 'secret' })
    const root = await folderOf({ 'ok.txt': 'ok' })
    await symlink(path.join(outside, 'secret.txt'), path.join(root, 'link.txt'))
    await symlink(outside, path.join(root, 'folder'))
    await symlink('link.txt', path.join(root, 'twice.txt'))
    await mkdir(path.join(root, 'dir'))
    await writeFile(`${root}x`, 'sibling')
    const mailer = await testMailer({ transport: 'smtp://127.0.0.1:1', attachmentRoot: root, threads: 0 })
    const open = await testMailer({ transport: 'smtp://127.0.0.1:1', threads: 0 })
    const refused = { code: 'INVALID_MESSAGE', path: 'attachments[0].path' }
    for (const file of [
      'link.txt',
      'twice.txt',
      'folder/secret.txt',
      '../secret.txt',
      `../${path.basename(root)}x`,
      path.join(outside, 'secret.txt'),
      '/etc/passwd',
      '/dev/zero',
      'dir',
      '.',
      'absent.txt',
      'ok.txt\0',
      '',
    ]) {
      const attachments = [{ path: file }]
      await expect(mailer.send({ ...plain, attachments }), file).rejects.toMatchObject(refused)
      const [result] = await mailer.sendMany([{ ...plain, attachments }])
      expect(result, file).toMatchObject(refused)
    }
    await expect(
      open.send({ ...plain, attachments: [{ path: path.join(root, 'ok.txt') }] }),
    ).rejects.toMatchObject(refused)
    expect(() => mailer.prepare({ ...plain, attachments: [{ path: 'ok.txt' }] })).toThrow(
      /is read by send\(\) only/,
    )
  })

  it('is read up to limits.message', async () => {
    const root = await folderOf({ 'big.bin': 'x'.repeat(2_000) })
    const mailer = await testMailer({
      transport: 'smtp://127.0.0.1:1',
      attachmentRoot: root,
      limits: { message: 1_000 },
      threads: 0,
    })
    let closed = false
    async function* endless() {
      try {
        for (;;) yield await Promise.resolve(Buffer.alloc(100))
      } finally {
        closed = true
      }
    }
    for (const [attachment, at] of [
      [{ path: 'big.bin' }, 'attachments[0].path'],
      [{ content: endless() }, 'attachments[0].content'],
    ] as const)
      await expect(mailer.send({ ...plain, attachments: [attachment] })).rejects.toMatchObject({
        code: 'INVALID_MESSAGE',
        path: at,
      })
    expect(closed).toBe(true)
    const failing = Readable.from(
      (async function* () {
        yield await Promise.resolve('a')
        throw new Error('disk gone')
      })(),
    )
    await expect(mailer.send({ ...plain, attachments: [{ content: failing }] })).rejects.toThrow(/disk gone/)
  })
})
