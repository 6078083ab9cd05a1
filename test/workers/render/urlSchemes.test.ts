import { describe, expect, test } from 'vitest'
import { folderOf } from '../../support/folder.js'
import { testMailer } from '../../support/mailer.js'
import { failure, mail, text, useTemplates } from './support/templates.js'

const templates = useTemplates()
const { render, write } = templates

/** Each as `href` is written: quoted, unquoted, divided across blocks, in a component, in a list of URLs. */
const PLACES: [place: string, source: (url: string) => string][] = [
  ['href', (url) => text(`<a href="${url}">x</a>`)],
  ['an unquoted href', (url) => text(`<a href=${url}>x</a>`)],
  ['a href divided across blocks', (url) => text(`<a {{#if on}}href="${url}"{{/if}}>x</a>`)],
  ['a button', (url) => mail(`<mj-button href="${url}">x</mj-button>`)],
  [
    'the settings of a class',
    (url) =>
      mail(
        '<mj-button mj-class="c">x</mj-button>',
        `<mj-attributes><mj-class name="c" href="${url}" /></mj-attributes>`,
      ),
  ],
  ['<object data>', (url) => text(`<object data="${url}"></object>`)],
  ['an unquoted <object data>', (url) => text(`<object data=${url}></object>`)],
  ['formaction', (url) => text(`<button formaction="${url}">x</button>`)],
  ['an unquoted formaction', (url) => text(`<button formaction=${url}>x</button>`)],
  ['action', (url) => text(`<form action='${url}'></form>`)],
  ['xlink:href', (url) => text(`<a xlink:href="${url}">x</a>`)],
  ['srcset', (url) => text(`<img srcset="${url} 2x">`)],
  ['the second URL of a srcset', (url) => text(`<img srcset="https://x.example/1.png 1x, ${url} 2x">`)],
  ['the srcset of mj-image', (url) => mail(`<mj-image src="https://x.example/1.png" srcset="${url} 2x" />`)],
  ['a partial', (url) => text(`{{#*inline "p"}}<a href="${url}">x</a>{{/inline}}{{> p}}`)],
]
const SCRIPTS = ['javascript:alert(1)', ' JaVaScript:x', 'vbscript:x', 'data:text/html,x', 'myapp:x']

describe('the scheme of a URL', () => {
  test.each(PLACES)('is refused if data brings a script scheme into %s', async (_, source) => {
    await write({ 'a.mjml': source('{{url}}'), 'raw.mjml': source('{{{url}}}') })
    for (const url of SCRIPTS) {
      expect((await failure(render('a', { url, on: true }))).message).toMatch(
        /scheme .*templates\.urlSchemes/,
      )
      expect((await failure(render('raw', { url, on: true }))).message).toContain('scheme')
    }
    for (const url of ['https://x.example/a', '/a', 'mailto:a@b.example', 'cid:logo'])
      expect((await render('a', { url, on: true })).html).toContain(url.slice(0, 6))
  })

  test.each(PLACES)('is the decision of the author who writes it in %s', async (_, source) => {
    await write({ 'a.mjml': source('myapp://reset/{{token}}'), 'b.mjml': source('sms:{{token}}') })
    for (const token of ['abc', 'javascript:x', 'a:b']) {
      expect((await render('a', { token, on: true })).html).toContain(`myapp://reset/${token}`)
      expect((await render('b', { token, on: true })).html).toContain(`sms:${token}`)
    }
  })

  test('counts as the author’s only where it precedes all data', async () => {
    await write({
      'a.mjml': text('<a href="{{a}}:{{b}}">x</a>'),
      'b.mjml': text('<a href="java{{a}}">x</a>'),
      'c.mjml': text('<a href="{{#if a}}{{a}}{{else}}myapp:x{{/if}}">x</a>'),
      'd.mjml': text('<a href="{{#if on}}myapp{{else}}sms{{/if}}:{{a}}">x</a>'),
      'e.mjml': text('<a href={{#if on}}myapp:{{/if}}{{a}}>x</a>'),
    })
    for (const [name, data] of [
      ['a', { a: 'javascript', b: 'x' }],
      ['b', { a: 'script:x' }],
      ['c', { a: 'myapp:x' }],
      ['e', { a: 'javascript:x', on: false }],
    ] as const)
      expect((await failure(render(name, data))).message).toContain('scheme')
    expect((await render('c', { a: '' })).html).toContain('myapp:x')
    expect((await render('d', { a: 'x:y', on: true })).html).toContain('myapp:x:y')
  })

  test('may be any that templates.urlSchemes names', async () => {
    await write({ 'a.mjml': text('<a href="{{url}}">x</a>') })
    const { dir } = templates
    const mailer = await testMailer({
      transport: 'inbox:',
      templates: { dir, urlSchemes: ['HTTPS', 'myapp'] },
    })
    expect((await mailer.render('a', { url: 'myapp:x' })).html).toContain('myapp:x')
    await expect(mailer.render('a', { url: 'http://x.example' })).rejects.toThrow(/only have https, myapp/)
    await mailer.reload({ templates: { urlSchemes: ['http'] } })
    expect((await mailer.render('a', { url: 'http://x.example' })).html).toContain('http:')
    const to = 'ada@example.com'
    await expect(
      mailer.send({ template: 'a', to, subject: 'x', data: { url: 'myapp:x' } }),
    ).rejects.toMatchObject({ code: 'INVALID_MESSAGE', path: 'data.url' })
  })

  test('is refused at send() where the data decides it', async () => {
    await write({
      'a.mjml': text('<a href="{{url}}">x</a>{{#each list}}<img src="{{this.src}}?w=1">{{/each}}'),
      'b.mjml': text('<a href="myapp:{{url}}">x</a><a href="https://x.example/{{url}}">x</a>{{url}}'),
      'c.mjml': text('{{#if on}}<object data="{{url}}"></object>{{/if}}'),
    })
    const mailer = await testMailer({ transport: 'inbox:', templates: templates.dir })
    const prepare = async (template: string, data: object) =>
      mailer.prepare({ template, data: { ...data }, to: 'ada@example.com', subject: 'x' })
    const safe = 'https://x.example'
    await expect(prepare('a', { url: 'javascript:x', list: [] })).rejects.toMatchObject({
      code: 'INVALID_MESSAGE',
      path: 'data.url',
    })
    await expect(
      prepare('a', { url: safe, list: [{ src: '/a' }, { src: 'data:image/png;base64,AAAA' }] }),
    ).rejects.toMatchObject({ code: 'INVALID_MESSAGE', path: 'data.list[1].src' })
    await expect(prepare('a', { url: 'javascript:x' })).rejects.toMatchObject({ code: 'MISSING_DATA' })
    await expect(prepare('c', { url: 'vbscript:x', on: true })).rejects.toMatchObject({ path: 'data.url' })
    await prepare('c', { url: 'vbscript:x', on: false })
    await prepare('b', { url: 'javascript:x' })
    await prepare('a', { url: safe, list: [{ src: 'cid:logo' }] })
  })

  test.each([[['javascript']], [['VBScript']], [['http:']], [[1]], ['https']])(
    'can’t be allowed with %j',
    async (urlSchemes) => {
      const dir = await folderOf({})
      await expect(
        testMailer({ transport: 'inbox:', templates: { dir, urlSchemes: urlSchemes as string[] } }),
      ).rejects.toMatchObject({ code: 'INVALID_OPTIONS' })
    },
  )
})
