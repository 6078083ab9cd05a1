import { Worker } from 'node:worker_threads'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { wildcardMatcher } from '../../src/inbox/faults.js'
import { MailStore } from '../../src/inbox/mailStore.js'
import { linksOf } from '../../src/inbox/receivedMail.js'
import { parseMime } from '../../src/mime/parseMime.js'
import { frameDocument } from '../../src/web/mailFrame.js'

/** Far above what any of these takes; work that grows with the square of the size takes hours. */
const BOUND = 120_000
const SIZE = 4_000_000

const mail = (header: readonly string[], body: string) =>
  Buffer.from(`${header.join('\r\n')}\r\n\r\n${body}`, 'latin1')
const filled = (text: string, size = SIZE) => text.repeat(Math.ceil(size / text.length))
const mixed = 'Content-Type: multipart/mixed; boundary=a'
const nested = (name: string) =>
  Array.from(
    { length: 250 },
    (_, n) => `--${name}${n}\r\nContent-Type: multipart/mixed; boundary=${name}${n + 1}\r\n\r\n`,
  ).join('')
const beside = (html: string) => mail([mixed], `--a\n\nx\n--a\nContent-Type: text/html\n\n${html}\n--a--\n`)

const MAILS: Record<string, Buffer> = {
  'of empty lines': mail([], filled('\n')),
  'of lines with dashes': mail([mixed], filled('--ab\n')),
  'of thousands of parts': mail([mixed], filled('--a\n\nx\n')),
  'of thousands of images': mail(
    [mixed],
    `--a\nContent-Type: text/html\n\n${filled('cid:x ')}\n${filled('--a\nContent-ID: <b>\nContent-Type: image/png\n\nx\n')}`,
  ),
  'of parts in parts': mail(['Content-Type: multipart/mixed; boundary=b0'], nested('b') + filled('--b\n')),
  'of parts in parts with long names': mail(
    [`Content-Type: multipart/mixed; boundary=${'p'.repeat(190)}0`],
    nested('p'.repeat(190)) + filled(`--${'p'.repeat(190)}\n`),
  ),
  'of headers': mail(Array(SIZE / 4).fill('a:'), 'x'),
  'with a folded subject': mail(['Subject: x', ...Array<string>(SIZE / 4).fill(' x')], 'x'),
  'with a long subject': mail([`Subject: ${filled('=?utf-8?q?=ff?= ')}`], 'x'),
  'to a list': mail([`To: ${filled('a@b.example,')}`], 'x'),
  'to groups': mail([`To: ${filled('a:b@c.example;')}`], 'x'),
  'to nobody': mail([`To: ${filled('"<(')}`], 'x'),
  'with parameters': mail([`Content-Type: text/plain;${filled('a*0*=%41;')}`], 'x'),
  'with spaces in a parameter': mail([`Content-Type: text/plain;${filled(' ')}x`], 'x'),
  'of flowed lines': mail(['Content-Type: text/plain; format=flowed'], filled(' \n>')),
  'of quoted-printable': mail(['Content-Transfer-Encoding: quoted-printable'], filled('= ')),
  'of base64': mail(['Content-Transfer-Encoding: base64'], filled('=\n')),
  'of mails in mails': mail(['Content-Type: message/rfc822'], filled('Content-Type: message/rfc822\n\n')),
  'of a digest': mail(['Content-Type: multipart/digest; boundary=a'], filled('--a\n\nSubject: x\n\nx\n')),
  ...Object.fromEntries(
    [
      '<',
      '<head',
      '<head ',
      '<html a="',
      '<!--',
      '<!',
      '<a href="x',
      '<a <a href=',
      '<link',
      '<style>',
      '&',
      'cid:',
      'cid:a ',
      '"',
      '\t',
      '<!-- -->',
    ].map((piece) => [`of ${JSON.stringify(piece)} in HTML`, beside(filled(piece))]),
  ),
}

describe('hostile mail takes time linear in its size', () => {
  test.each(Object.keys(MAILS))(
    'a mail %s is parsed, framed and searched for links',
    { timeout: BOUND },
    (name) => {
      const contents = parseMime(MAILS[name]!)
      expect(contents.attachments.length).toBeLessThanOrEqual(1_000)
      expect(contents.headers.length).toBeLessThanOrEqual(1_000)
      const image = { cid: 'a', contentType: 'image/png', inline: true, content: new Uint8Array(100_000) }
      const { html } = frameDocument(contents.html ?? '', [image], () => 'images/0/x')
      expect(html.length).toBeLessThan(4 * 1024 * 1024)
      expect(linksOf(contents).length).toBeLessThanOrEqual(1_000)
    },
  )

  test('reports omitted parts and header fields', () => {
    const { leftOut, attachments, text } = parseMime(MAILS['of thousands of images']!)
    expect(attachments).toHaveLength(999)
    expect(text).toBeUndefined()
    expect(leftOut).toEqual(['The mail has too many parts: at most the first 1000 are shown.'])
    expect(parseMime(MAILS['of headers']!).leftOut).toHaveLength(1)
    expect(parseMime(mail(['Subject: x'], 'x')).leftOut).toEqual([])
  })

  test('reports parts that are nested too deep', () => {
    expect(parseMime(MAILS['of parts in parts']!).leftOut).toContain(
      'The mail has parts within parts, more than 30 deep: the deepest are shown as files.',
    )
  })

  test('a large mail is parsed once, in a thread, however often the list and the mail are read', async () => {
    const crossings = vi.spyOn(Worker.prototype, 'postMessage')
    onTestFinished(() => void vi.restoreAllMocks())
    const store = new MailStore(10, 10 * SIZE)
    const envelope = { from: '', to: ['ada@example.com'] }
    const large = store.add(envelope, MAILS['of thousands of parts']!)
    store.add(envelope, mail(['Subject: Small'], 'x'))
    const read = await Promise.all([store.newest(10), store.newest(10), store.parse(large)])
    const again = await store.newest(10)
    expect(again.map(({ subject, files }) => [subject, files])).toEqual([
      ['Small', 0],
      ['', 0],
    ])
    expect(read[0]).toEqual(again)
    expect(read[2].leftOut).toEqual(['The mail has too many parts: at most the first 1000 are shown.'])
    expect(crossings).toHaveBeenCalledTimes(1)
  })

  test('a mail that is too large to be parsed is shown raw, with its header', async () => {
    const store = new MailStore(10, Infinity)
    const raw = Buffer.alloc(64 * 1024 * 1024 + 1, 'Subject: Huge\r\n\r\n')
    const contents = await store.parse(store.add({ from: '', to: ['ada@example.com'] }, raw))
    expect(contents).toMatchObject({ subject: 'Huge', attachments: [] })
    expect(contents.text).toBeUndefined()
    expect(contents.leftOut).toEqual(['The mail is larger than 64 MB: it is shown raw.'])
  })

  test('an image with 60,000 references is not embedded in the document', () => {
    const image = { cid: 'a', contentType: 'image/png', inline: true, content: new Uint8Array(1_000_000) }
    const source = '<img src="cid:a">'.repeat(60_000)
    const { html } = frameDocument(source, [image], (index) => `images/${index}/x`)
    expect(html).not.toContain('data:')
    expect(html.split('images/0/x')).toHaveLength(60_001)
    expect(html.length).toBeLessThan(2 * source.length)
  })

  test('a pattern with many wildcards is matched in linear time', { timeout: BOUND }, () => {
    expect(wildcardMatcher(`${'*a'.repeat(500)}*b`)('a'.repeat(1_000_000))).toBe(false)
    for (const [pattern, text, fits] of [
      ['*@example.com', 'Ada@EXAMPLE.com', true],
      ['a*a', 'a', false],
      ['a*a', 'aa', true],
      ['*', '', true],
      ['a*b*c', 'a-b-b-c', true],
      ['a.c', 'abc', false],
      ['a**c', 'ac', true],
    ] as const)
      expect(wildcardMatcher(pattern)(text), `${pattern} ${text}`).toBe(fits)
  })
})

describe('the framed document', () => {
  const base = '<base target="_blank">'

  test.each([
    ['<!doctype html><html><head><title>', `<!doctype html><html><head>${base}<title>`],
    ['<!-- <head> --><html lang="a>b"><p>', `<!-- <head> --><html lang="a>b">${base}<p>`],
    ['\n<!DOCTYPE html>\n<p>', `\n<!DOCTYPE html>${base}\n<p>`],
    ['<header>x</header>', `${base}<header>x</header>`],
    ['<head', `${base}<head`],
    ['text <head>', `${base}text <head>`],
    ['<!-- never ends', `${base}<!-- never ends`],
    ['', base],
  ])('has its base where the head begins: %s', (source, expected) => {
    expect(frameDocument(source).html).toBe(expected)
  })

  test('shows an image wherever a style or an attribute refers to it, and nothing that is not an image', () => {
    const part = { inline: true, content: new Uint8Array(1) }
    const parts = [
      { ...part, cid: 'a&b c', contentType: 'image/png' },
      { ...part, cid: 'page', contentType: 'text/html' },
      { ...part, cid: 'a%41', contentType: 'image/gif' },
    ]
    const source = `<img src=CID:a&amp;b%20c><p style="background:url(cid:a&b%20c)"><img src='cid:page'><img src="cid:a%41"><i>acid:a%41</i>`
    const { html, policy } = frameDocument(source, parts, (index) => `#${index}`)
    expect(html).toBe(
      `${base}<img src=#0><p style="background:url(#0)"><img src='cid:page'><img src="#2"><i>acid:a%41</i>`,
    )
    expect(policy).toContain("img-src 'self' data:")
    expect(frameDocument('<img src="cid:page">', parts).policy).toContain('img-src data:;')
  })

  test('is cut before a tag, never inside one', () => {
    const source = `${'x'.repeat(1024 * 1024 - 5)}<img src="cid:a">`
    expect(frameDocument(source).html).toBe(base + 'x'.repeat(1024 * 1024 - 5))
  })
})
