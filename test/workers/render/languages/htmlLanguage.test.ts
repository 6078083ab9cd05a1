import { mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import type { JsonText } from '../../../../src/protocol/tasks.js'
import { buildFolder, inspectFolder } from '../../../../workers/render/compileFolder.js'
import { createRenderer } from '../../../../workers/render/createRenderer.js'
import { languageSuite } from '../../../support/languageSuite.js'
import { critical } from '../support/both.js'
import { useTemplates } from '../support/templates.js'

function page(body: string, head = ''): string {
  return `<!doctype html>\n<html><head>${head}</head><body>${body}</body></html>`
}

languageSuite('HTML', {
  extension: '.html',
  full: page(
    '<span class="preheader">News for {{name}}</span><p>{{name}}</p>{{#each items}}<p>{{label}}</p>{{else}}Nothing new{{/each}}<a href="{{url}}">Open</a>',
    '<title>Hello {{name}}</title><style>.preheader { display: none }</style>',
  ),
  french: page('<p>Bonjour {{name}}</p>'),
  broken: '<html>\n{{#if}',
})

describe('An HTML template', () => {
  const templates = useTemplates()
  const { render, write } = templates
  const job = () => ({ templates: { dir: templates.dir, globals: {} }, log: () => undefined })
  const findings = async () => (await inspectFolder(job())).flatMap((report) => report.findings)
  const STYLE =
    '<style>p { color: red } .big { font-size: 20px } @media (max-width: 600px) { p { color: blue !important } } a:hover { color: green }</style>'

  test('has its CSS inlined once, and keeps media queries and pseudo-classes in the head', async () => {
    await write({
      'a.html': page('{{#each rows}}<p class="big">{{x}}</p>{{/each}}<a href="{{url}}">x</a>', STYLE),
    })
    const { html } = await render('a', { rows: [{ x: 'One' }, { x: 'Two' }], url: '/' })
    expect(html.match(/<p class="big" style="color: red; font-size: 20px;">/g)).toHaveLength(2)
    expect(html).toMatch(/<style>[\s\S]*@media \(max-width: 600px\)[\s\S]*a:hover[\s\S]*<\/style>/)
    expect(html).not.toMatch(/<style>[^@]*p \{ color: red/)
    expect(await findings()).toEqual([])
  })

  test('is rendered per message where an expression decides which rules match', async () => {
    await write({ 'a.html': page('<p class="{{size}}">x</p>', STYLE) })
    expect((await render('a', { size: 'big' })).html).toContain('font-size: 20px')
    expect((await render('a', { size: 'small' })).html).not.toContain('font-size: 20px')
    expect(await findings()).toMatchObject([{ reason: 'it decides which CSS rules match' }])
  })

  test('is rendered per message where the number of elements decides which rules match', async () => {
    const style = '<style>tr:nth-child(2) { color: red }</style>'
    await write({
      'a.html': page(
        '<table>{{#each rows}}<tr><td>{{this}}</td></tr>{{/each}}<tr><td>end</td></tr></table>',
        style,
      ),
    })
    expect((await render('a', { rows: ['a', 'b'] })).html).toMatch(/red[^<]*"><td>b/)
    expect((await render('a', { rows: ['a'] })).html).toMatch(/red[^<]*"><td>end/)
    expect(await findings()).toHaveLength(1)
  })

  test('applies rules to the tags of a raw value', async () => {
    await write({ 'a.html': page('<div>{{{body}}}</div>', STYLE) })
    expect((await render('a', { body: '<p>x</p>' })).html).toContain('<p style="color: red;">x</p>')
    expect((await render('a', { body: 'plain' })).html).toContain('<div>plain</div>')
  })

  test('extends layouts and calls partials written in HTML', async () => {
    await write({
      'layouts/base.html': page('<div>{{#block "body"}}{{/block}}</div>', STYLE),
      'partials/footer.html': '<p>{{owner}}</p>',
      'partials/footer.mjml': '<mj-text>MJML</mj-text>',
      'a.html': '{{#extend "base"}}{{#content "body"}}<p>Hi</p>{{> footer}}{{/content}}{{/extend}}',
    })
    const { html } = await render('a', { owner: 'Acme' })
    expect(html).toContain('<p style="color: red;">Hi</p><p style="color: red;">Acme</p>')
  })

  test('is not made of a fragment, nor beside MJML of the same name', async () => {
    await write({
      'fragment.html': '<p>part</p>',
      'a.html': page('<p>HTML</p>'),
      'a.mjml':
        '<mjml><mj-body><mj-section><mj-column><mj-text>MJML</mj-text></mj-column></mj-section></mj-body></mjml>',
    })
    const { templates: listed, notTemplates } = await templates.renderer.catalogue()
    expect(listed.map(({ name }) => name)).toEqual(['a'])
    expect(notTemplates).toEqual({
      fragment: expect.stringMatching(/^fragment\.html has no <!doctype html>/),
    })
    expect((await render('a')).html).toContain('MJML')
  })

  test('is compiled ahead of time by threadpost build', async () => {
    await write({
      'a.html': page('<p>{{name}}</p>', `<title>Hi {{name}}</title>${STYLE}`),
      'a.json': '{"name":"Ada"}',
    })
    const out = await mkdtemp(path.join(os.tmpdir(), 'threadpost-built-'))
    try {
      expect((await buildFolder(job(), out)).flatMap(({ errors }) => errors)).toEqual([])
      const renderer = createRenderer({ templates: { dir: out, globals: {} } })
      const content = { kind: 'template' as const, name: 'a', data: '{"name":"Ada"}' as JsonText }
      const built = await renderer.render({ content }, critical)
      expect(built).toEqual(await render('a', { name: 'Ada' }))
    } finally {
      await rm(out, { recursive: true, force: true })
    }
  })
})
