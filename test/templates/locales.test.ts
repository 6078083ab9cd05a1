import { describe, expect, it } from 'vitest'
import { isLocale, localeChain } from '../../src/protocol/locales.js'
import { inspectFolder } from '../../workers/render/compileFolder.js'
import { folderOf } from '../support/folder.js'
import { testMailer } from '../support/mailer.js'

const mjml = (text: string) =>
  `<mjml><mj-head><mj-title>${text}</mj-title></mj-head><mj-body><mj-section><mj-column><mj-text>${text}</mj-text></mj-column></mj-section></mj-body></mjml>`

function templates(...names: string[]): Promise<string> {
  return folderOf(Object.fromEntries(names.map((name) => [name, mjml(name)])))
}

const mailerOf = async (...names: string[]) =>
  testMailer({ transport: 'smtp://127.0.0.1:1', templates: await templates(...names), threads: 0 })

describe('a locale', () => {
  it.each([
    ['zh-TW', ['zh-hant', 'zh'], 'zh-hant'],
    ['zh-HK', ['zh-tw', 'zh'], 'zh-tw'],
    ['zh-MO', ['zh-hant-hk', 'zh-hant'], 'zh-hant-hk'],
    ['zh-Hant', ['zh', 'zh-tw'], 'zh-tw'],
    ['zh-CN', ['zh-hant', 'zh-hans'], 'zh-hans'],
    ['zh', ['zh-hant', 'zh-hans'], 'zh-hans'],
    ['no', ['nb'], 'nb'],
    ['nb-NO', ['no'], 'no'],
    ['nn', ['nb', 'no'], 'no'],
    ['es-MX', ['es', 'es-419'], 'es-419'],
    ['es-MX', ['es-es', 'es'], 'es'],
    ['pt-AO', ['pt', 'pt-pt'], 'pt-pt'],
    ['pt-BR', ['pt-pt', 'pt'], 'pt'],
    ['en-AU', ['en', 'en-001'], 'en-001'],
    ['en-AT', ['en', 'en-001', 'en-150'], 'en-150'],
    ['fr_CA', ['fr', 'fr-fr'], 'fr'],
    ['sr-Latn-RS', ['sr', 'sr-latn'], 'sr-latn'],
    ['he', ['iw'], 'iw'],
    ['iw', ['he'], 'he'],
    ['de-u-co-phonebk', ['de'], 'de'],
    ['de', ['fr'], undefined],
    ['x', ['fr'], undefined],
  ])('%s finds the best of %j', (locale, known, found) => {
    expect(localeChain(locale).find((name) => known.includes(name))).toBe(found)
  })

  it('is at the end of a file name only if it is one', () => {
    for (const name of [
      'fr',
      'pt-BR',
      'pt_br',
      'zh-Hant-TW',
      'es-419',
      'fil',
      'no',
      'ca-valencia',
      'de-1996',
    ])
      expect(isLocale(name), name).toBe(true)
    for (const name of [
      'new',
      'old',
      'v2',
      'min',
      'no-show',
      'my-thing',
      'draft',
      'xx',
      'fr-XX1',
      '',
      'en-',
      'a',
    ])
      expect(isLocale(name), name).toBe(false)
  })
})

describe('a template', () => {
  it('is chosen by the best variant for the locale', async () => {
    const mailer = await mailerOf('t.mjml', 't.zh.mjml', 't.zh-Hant.mjml', 't.nb.mjml')
    const subjectOf = async (locale?: string) =>
      (await mailer.render('t', {}, locale === undefined ? {} : { locale })).subject
    expect(await subjectOf('zh-TW')).toBe('t.zh-Hant.mjml')
    expect(await subjectOf('zh-CN')).toBe('t.zh.mjml')
    expect(await subjectOf('no')).toBe('t.nb.mjml')
    expect(await subjectOf('de')).toBe('t.mjml')
    expect(await subjectOf()).toBe('t.mjml')
  })

  it('may have a dot in its name', async () => {
    const mailer = await mailerOf('order.mjml', 'order.new.mjml', 'order.new.fr.mjml')
    expect((await mailer.render('order', {}, { locale: 'new' })).subject).toBe('order.mjml')
    expect((await mailer.render('order.new', {})).subject).toBe('order.new.mjml')
    expect((await mailer.render('order.new', {}, { locale: 'fr' })).subject).toBe('order.new.fr.mjml')
  })

  it('is checked for the data and the subject of the variant that a mail uses', async () => {
    const dir = await folderOf({
      't.mjml': mjml('{{name}} {{order.id}}').replace(/<mj-head>.*<.mj-head>/, ''),
      't.fr.mjml': mjml('{{name}}').replace(
        '<mj-text',
        '<mj-button href="{{url}}">Payer</mj-button><mj-text',
      ),
    })
    const mailer = await testMailer({ transport: 'smtp://127.0.0.1:1', templates: dir, threads: 0 })
    const mail = { to: 'ada@example.com', template: 't' }
    const order = { name: 'Ada', order: {} }
    await expect(mailer.send({ ...mail, data: order })).rejects.toMatchObject({
      code: 'MISSING_DATA',
      paths: ['order.id'],
    })
    await expect(mailer.send({ ...mail, data: { ...order, order: { id: 1 } } })).rejects.toMatchObject({
      code: 'INVALID_MESSAGE',
      path: 'subject',
    })
    await expect(mailer.send({ ...mail, locale: 'fr-CA', data: order })).rejects.toMatchObject({
      code: 'MISSING_DATA',
      paths: ['url'],
    })
    await expect(
      mailer.send({ ...mail, locale: 'fr', data: { name: 'Ada', url: 'javascript:alert(1)' } }),
    ).rejects.toMatchObject({ code: 'INVALID_MESSAGE', path: 'data.url' })
    const data = { name: 'Ada', url: 'https://acme.example' }
    await expect(mailer.send({ ...mail, locale: 'fr', data })).resolves.toMatchObject({ status: 'queued' })
  })

  it('without a default is reported at the start, and refused for other languages', async () => {
    const lines: string[] = []
    const log = (_fields: object, message: string) => void lines.push(message)
    const mailer = await testMailer({
      transport: 'smtp://127.0.0.1:1',
      templates: await templates('t.en.mjml', 't.fr.mjml', 'u.mjml'),
      threads: 0,
      logger: { debug: () => undefined, info: () => undefined, warn: log, error: log },
    })
    expect(lines).toEqual([expect.stringMatching(/The template 't' has no default variant, only en, fr/)])
    const mail = { to: 'ada@example.com', template: 't' }
    await expect(mailer.send({ ...mail, locale: 'de' })).rejects.toMatchObject({
      code: 'UNKNOWN_TEMPLATE',
      path: 'locale',
      message: expect.stringMatching(/no default variant, only en, fr.*add t\.mjml/),
    })
    await expect(mailer.send(mail)).rejects.toMatchObject({ code: 'UNKNOWN_TEMPLATE', path: 'template' })
    await expect(mailer.send({ ...mail, locale: 'fr-CA' })).resolves.toMatchObject({ status: 'queued' })
    await expect(mailer.render('t', {}, { locale: 'de' })).rejects.toMatchObject({
      code: 'UNKNOWN_TEMPLATE',
      message: expect.stringMatching(/no default variant/),
    })
  })

  it('without a default is an error of threadpost check', async () => {
    const dir = await templates('t.en.mjml', 't.fr.mjml', 'u.mjml', 'u.fr.mjml')
    const reports = await inspectFolder({ templates: { dir, globals: {} }, log: () => undefined })
    expect(reports.filter(({ errors }) => errors.length > 0)).toEqual([
      expect.objectContaining({
        name: 't',
        locale: '',
        errors: [expect.stringMatching(/renaming t\.en\.mjml/)],
      }),
    ])
  })
})
