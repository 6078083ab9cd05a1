import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import os from 'node:os'
import path from 'node:path'
import { compileFunction } from 'node:vm'
import { build } from 'esbuild'
import { beforeEach, describe, expect, test } from 'vitest'
import type { JsonText } from '../../../../src/protocol/tasks.js'
import { readManifests } from '../../../../src/templates/precompile.js'
import { generateTypeDeclarations } from '../../../../src/templates/typeDeclarations.js'
import { buildFolder, inspectFolder } from '../../../../workers/render/compileFolder.js'
import { createRenderer } from '../../../../workers/render/createRenderer.js'
import { folderOf } from '../../../support/folder.js'
import { languageSuite } from '../../../support/languageSuite.js'
import { mailerWithInbox } from '../../../support/mailer.js'
import { critical } from '../support/both.js'
import { REACT_TEMPLATES } from '../support/reactTemplates.js'
import { failure, useTemplates } from '../support/templates.js'

const ROOT = path.resolve(import.meta.dirname, '../../../..')

/** The packages of an application that uses React Email. */
const linkPackages = (dir: string): Promise<void> =>
  symlink(path.join(ROOT, 'node_modules'), path.join(dir, 'node_modules'))

const FULL = `import { Body, Head, Html, Link, Preview, Text } from '@react-email/components'

interface Props { name: string; url: string; items: { label: string }[] }

export const subject = ({ name }: Props) => 'Hello ' + name
export const preheader = ({ name }: Props) => 'News for ' + name

export default function News({ name, url, items }: Props) {
  return (
    <Html><Head /><Body>
      <Text>{name}</Text>
      {items.length === 0 ? <Text>Nothing new</Text> : items.map(({ label }) => <Text key={label}>{label}</Text>)}
      <Link href={url}>Open</Link>
    </Body></Html>
  )
}
`

/** Renders as an application without threadpost does: with its own bundler, React, and `render()`. */
async function renderHere(source: string, props: object, dir: string): Promise<string> {
  const require = createRequire(path.join(dir, 'main.cjs'))
  const { outputFiles } = await build({
    stdin: { contents: source, loader: 'tsx', resolveDir: dir },
    bundle: true,
    write: false,
    format: 'cjs',
    platform: 'node',
    jsx: 'automatic',
    packages: 'external',
  })
  const module = { exports: {} as { default: () => unknown } }
  compileFunction(outputFiles[0]!.text, ['module', 'exports', 'require'])(module, module.exports, require)
  const react = require('react') as { createElement(component: unknown, props: object): unknown }
  const reactEmail = require('@react-email/render') as { render(element: unknown): Promise<string> }
  return reactEmail.render(react.createElement(module.exports.default, props))
}

languageSuite('React', {
  extension: '.tsx',
  full: FULL,
  french: `export default ({ name }: { name: string }) => <html><p>{'Bonjour ' + name}</p></html>`,
  broken: `export default () => (\n  <p>`,
  declaresNeeds: false,
  prepare: linkPackages,
})

describe('A React template', () => {
  const templates = useTemplates()
  const { render, write } = templates
  beforeEach(() => linkPackages(templates.dir))
  const job = () => ({ templates: { dir: templates.dir, globals: {} }, log: () => undefined })

  test('renders as React Email does, with Tailwind', async () => {
    await write({
      'a.tsx': `import { Button, Container, Html, Tailwind, Text } from '@react-email/components'
        import { Footer } from './components/footer'
        export default ({ name }: { name: string }) => (
          <Html><Tailwind><Container className="bg-white p-4">
            <Text className="text-lg text-red-500">Dear {name}, {1 + 1} things</Text>
            <Button href="https://acme.example">Open</Button><Footer />
          </Container></Tailwind></Html>
        )`,
      'components/footer.tsx': `export const Footer = () => <p>Acme</p>`,
    })
    const { html } = await render('a', { name: 'Ada' })
    expect(html).toMatch(/^<!DOCTYPE html/)
    expect(html).toContain('color:')
    // React marks where texts meet, as render() of React Email does.
    expect(html).toContain('Dear <!-- -->Ada')
    expect(html).toContain('<p>Acme</p>')
    expect((await templates.renderer.catalogue()).templates.map(({ name }) => name)).toEqual(['a'])
  })

  test.each(Object.entries(REACT_TEMPLATES))(
    'renders the same HTML as render() in the main thread: %s',
    async (_, { source, props }) => {
      await write({ 'a.tsx': source })
      const given = { locale: 'en', ...props }
      const { html } = await render('a', given, given.locale)
      expect(html).toBe(await renderHere(source, given, templates.dir))
    },
  )

  test('takes the preheader from Preview, and the text from plainText', async () => {
    await write({
      'a.jsx': `import { Html, Preview } from '@react-email/components'
        export const plainText = ({ name }) => 'Plain ' + name
        export default ({ name }) => <Html><Preview>For {name} &amp; co</Preview><p>x</p></Html>`,
      'b.jsx': `import { Html, Preview } from '@react-email/components'
        export default () => <Html><Preview>Hidden</Preview><p>Shown</p></Html>`,
    })
    expect(await render('a', { name: 'Ada' })).toMatchObject({ text: 'Plain Ada' })
    const { preheader, text } = await render('b')
    expect(preheader).toBe('Hidden')
    expect(text).toBe('Shown\n')
  })

  test('names the file and line of an error in its code, in an imported file too', async () => {
    await write({
      'a.tsx': `import { Price } from './components/price'\n\nexport default () => (\n  <p><Price /></p>\n)`,
      'components/price.tsx': `export function Price() {\n  const order: any = undefined\n  return <b>{order.total}</b>\n}`,
      'b.tsx': `import x from 'no-such-package'\nexport default () => <p>{x}</p>`,
    })
    const thrown = await failure(render('a'))
    expect(thrown.message).toMatch(/^components\/price\.tsx:3:\d+: Cannot read properties of undefined/)
    expect(thrown.details.location).toMatchObject({ file: 'components/price.tsx', line: 3 })
    expect((await failure(render('b'))).message).toMatch(/b\.tsx.*no-such-package/)
  })

  test('runs React in production, and leaves NODE_ENV alone', async () => {
    const before = process.env['NODE_ENV']
    await write({ 'a.tsx': `export default () => <p>{process.env.NODE_ENV}</p>` })
    expect((await render('a')).html).toContain('<p>production</p>')
    expect(process.env['NODE_ENV']).toBe(before)
  })

  test('states its sample and the type of its data', async () => {
    await write({
      'a.tsx': `function A({ name }: { name: string }) { return <p>{name}</p> }
        A.PreviewProps = { name: 'Ada' }
        export default A`,
    })
    const manifests = await readManifests(templates.dir)
    expect(manifests).toMatchObject([{ name: 'a', sample: { name: 'Ada' }, hasSubject: false }])
    expect(generateTypeDeclarations(manifests, '../emails')).toContain(
      'data: NonNullable<Parameters<typeof import("../emails/a.js").default>[0]>',
    )
    expect((await inspectFolder(job())).flatMap(({ errors }) => errors)).toEqual([])
  })

  test('is bundled ahead of time by threadpost build', async () => {
    await write({ 'a.tsx': FULL, 'a.json': '{"name":"Ada","url":"/","items":[]}' })
    const out = await mkdtemp(path.join(os.tmpdir(), 'threadpost-built-'))
    try {
      expect((await buildFolder(job(), out)).flatMap(({ errors }) => errors)).toEqual([])
      await linkPackages(out)
      const renderer = createRenderer({ templates: { dir: out, globals: {} } })
      const data = { name: 'Ada', url: '/', items: [{ label: 'One' }] }
      const content = { kind: 'template' as const, name: 'a', data: JSON.stringify(data) as JsonText }
      expect(await renderer.render({ content }, critical)).toEqual(await render('a', data))
    } finally {
      await rm(out, { recursive: true, force: true })
    }
  })

  test('may take as long to load as a thread to start, and not only as long as a message to render', async () => {
    const folder = await folderOf({
      'slow.jsx': `for (const until = Date.now() + 5_000; Date.now() < until; );
        export const subject = 'Hi'
        export default function Slow() { return 'slow' }`,
    })
    await linkPackages(folder)
    const { mailer } = await mailerWithInbox({
      templates: folder,
      threads: 1,
      limits: { render: 1_000, compile: 1_000 },
    })
    const died: string[] = []
    mailer.on('thread-died', ({ reason }) => died.push(reason))
    expect(await mailer.sendAndWait({ template: 'slow', to: 'ada@example.com' })).toMatchObject({
      status: 'sent',
    })
    expect(died.join()).toBe('')
  })

  test('says which package is missing', async () => {
    await rm(path.join(templates.dir, 'node_modules'))
    await write({ 'a.tsx': `export default () => <p>x</p>` })
    expect((await failure(render('a'))).message).toContain('npm install react react-dom @react-email/render')
  })
})
