import { beforeEach, describe, expect, test } from 'vitest'
import type { TemplateManifest } from '../../src/protocol/templateManifest.js'
import { failure, useTemplates } from '../workers/render/support/templates.js'

/** The same template, written in the language under test. */
export interface LanguageSources {
  /** Such as `.mjml`. */
  extension: string
  /**
   * Subject `Hello NAME`, preheader `News for NAME`, and a body with the name, a link to `url`, and a list of `items`, each with a
   * `label`. An empty list shows `Nothing new`.
   */
  full: string
  /** Text `Bonjour NAME`. */
  french: string
  /** A source with a syntax error on line 2. */
  broken: string
  /** Needs `name`, which `send()` can check. @default the language declares needs */
  declaresNeeds?: boolean
  /** Prepares the template folder. @default nothing */
  prepare?: (dir: string) => Promise<void>
}

/** The contract of a template language: see `TemplateLanguage`. */
export function languageSuite(title: string, sources: LanguageSources): void {
  const { extension, full, french, broken, declaresNeeds = true, prepare } = sources
  const data = {
    name: 'Ada',
    url: 'https://acme.example/?a=1&b=2',
    items: [{ label: 'One' }, { label: 'Two' }],
  }

  describe(`The language ${title}`, () => {
    const templates = useTemplates()
    const { render, write } = templates
    beforeEach(() => prepare?.(templates.dir))
    const manifest = async (): Promise<TemplateManifest | undefined> =>
      (await templates.renderer.catalogue()).templates[0]

    test('renders subject, preheader, HTML and text', async () => {
      await write({ [`a${extension}`]: full })
      const parts = await render('a', data)
      expect(parts.subject).toBe('Hello Ada')
      expect(parts.preheader).toBe('News for Ada')
      expect(parts.html).toMatch(/<html/)
      expect(parts.html).toMatch(/One[\s\S]*Two/)
      expect(parts.html).not.toContain('Nothing new')
      expect(parts.text).toContain('Ada')
      expect(parts.text).toMatch(/One[\s\S]*Two/)
      expect(parts.text).not.toMatch(/<[a-z]/)
    })

    test('shows the alternative for an empty list', async () => {
      await write({ [`a${extension}`]: full })
      const parts = await render('a', { ...data, items: [] })
      expect(parts.html).toContain('Nothing new')
      expect(parts.text).toContain('Nothing new')
    })

    test('escapes data in HTML, and only there', async () => {
      await write({ [`a${extension}`]: full })
      const parts = await render('a', { ...data, name: '<b>"A&B"' })
      expect(parts.html).toContain('&lt;b&gt;')
      expect(parts.html).not.toContain('<b>"A')
      expect(parts.subject).toBe('Hello <b>"A&B"')
      expect(parts.text).toContain('<b>"A&B"')
    })

    test('writes a subject of one line', async () => {
      await write({ [`a${extension}`]: full })
      expect((await render('a', { ...data, name: 'A\r\nBcc: b@x.example' })).subject).toBe(
        'Hello A Bcc: b@x.example',
      )
    })

    test('never outputs a URL with a script scheme', async () => {
      await write({ [`a${extension}`]: full })
      const result = await render('a', { ...data, url: 'javascript:alert(1)' }).then(
        ({ html }) => html,
        (error: unknown) => (error as Error).message,
      )
      expect(result).not.toMatch(/href="javascript:alert/)
    })

    test('selects the variant of a locale', async () => {
      await write({ [`a${extension}`]: full, [`a.fr${extension}`]: french })
      expect((await render('a', data, 'fr-CA')).html).toContain('Bonjour Ada')
      expect((await render('a', data, 'de')).subject).toBe('Hello Ada')
      expect((await manifest())?.locales).toEqual(['fr'])
    })

    test('compiles a changed file again', async () => {
      await write({ [`a${extension}`]: full })
      await render('a', data)
      await write({ [`a${extension}`]: french })
      await expect.poll(async () => (await render('a', data)).html).toContain('Bonjour Ada')
    })

    test('names the place of an error', async () => {
      await write({ [`a${extension}`]: broken })
      const { message } = await failure(render('a', data))
      expect(message).toMatch(new RegExp(`a\\${extension}:\\d+`))
      expect((await manifest())?.error).toContain(`a${extension}`)
    })

    if (declaresNeeds)
      test('declares the data that it needs, and refuses to render without', async () => {
        await write({ [`a${extension}`]: full })
        const { needs, hasSubject } = (await manifest()) ?? {}
        expect(hasSubject).toBe(true)
        expect(needs).toContainEqual({ need: 'value', path: { scope: 0, parts: ['name'] } })
        const { code } = await failure(render('a', { url: '', items: [] }))
        expect(code).toBe('MISSING_DATA')
      })

    test('takes its sample data from the sample file', async () => {
      await write({ [`a${extension}`]: full, 'a.json': JSON.stringify({ name: 'Sample' }) })
      expect((await manifest())?.sample).toEqual({ name: 'Sample' })
    })

    test('uses a text part of its own', async () => {
      await write({ [`a${extension}`]: full, 'a.txt': 'Dear {{name}}' })
      expect((await render('a', data)).text).toContain('Dear Ada')
    })
  })
}
