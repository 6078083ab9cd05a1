import { expect, test } from 'vitest'
import { PerMessageTemplate } from '../../../workers/render/perMessageTemplate.js'
import { compileTemplate } from '../../../workers/render/precompiled/compileTemplate.js'
import type { CriticalSection } from '../../../workers/render/renderer.js'
import { folderOf } from '../../support/folder.js'
import { testMailer } from '../../support/mailer.js'
import { compile, critical, helpers, sourceOf } from './support/both.js'

const sections = (count: number): string => {
  const each = (at: number) =>
    `{{#if s${at}}}<mj-section><mj-column><mj-text>Section ${at} {{x}}</mj-text></mj-column></mj-section>{{/if}}`
  return `<mjml><mj-body>${Array.from({ length: count }, (_, at) => each(at)).join('')}</mj-body></mjml>`
}

test('a template that compiles for too long is rendered per message, with the same result', async () => {
  const source = sourceOf({ source: sections(20), partials: {} })
  const input = { data: { s3: true, x: 'y' }, variables: { locale: 'en' } }
  const options = { critical, customHelpers: new Set<string>() }
  const { late, findings, trees } = await compileTemplate(source, { ...options, compileLimit: 0 })
  expect(late).toBeUndefined()
  expect(findings).toMatchObject([{ reason: expect.stringContaining('limits.compile') as string }])
  expect((await new PerMessageTemplate(trees, helpers).render(input, critical)).text).toBe('Section 3 y\n')
})

test('the work of compiling grows linearly with the conditional sections', async () => {
  const runs = async (count: number) => {
    let steps = 0
    const counting: CriticalSection = (_step, work) => {
      steps++
      return work()
    }
    const source = sourceOf({ source: sections(count), partials: {} })
    const { findings } = await compileTemplate(source, { critical: counting, customHelpers: new Set() })
    expect(findings).toEqual([])
    return steps
  }
  // Two steps for each run of MJML: one with each section absent, and three mixtures that may coincide.
  const [few, more] = [await runs(8), await runs(16)]
  expect(more - few).toBeLessThanOrEqual(2 * (8 + 3))
})

test('other deliveries of the thread proceed between two steps of compiling', async () => {
  let turns = 0
  const timer = setInterval(() => turns++, 0)
  await compile({ source: sections(8), partials: {} })
  clearInterval(timer)
  expect(turns).toBeGreaterThan(3)
})

test('no thread dies for a template that compiles for longer than limits.render', async () => {
  const templates = await folderOf({ 'slow.mjml': sections(58), 'fast.mjml': sections(1) })
  const mailer = await testMailer({ transport: 'inbox:', templates, limits: { render: 1_000, compile: 300 } })
  const deaths: unknown[] = []
  mailer.on('thread-died', (event) => deaths.push(event))
  const mail = (template: string) => ({
    template,
    to: 'ada@example.com',
    subject: 'x',
    data: { s0: 1, x: 'y' },
  })
  for (const template of ['slow', 'fast', 'slow']) {
    const { status, attempts } = await mailer.sendAndWait(mail(template))
    expect([status, attempts.length]).toEqual(['sent', 1])
  }
  expect(deaths).toEqual([])
  const { findings } = await mailer.inspect('slow')
  expect(findings).toMatchObject([{ reason: expect.stringContaining('limits.compile') as string }])
})

test('the language and direction of the document may be bound', async () => {
  const source = `<mjml lang="{{lang}}" dir="{{dir}}"><mj-body><mj-section><mj-column><mj-text>x</mj-text></mj-column></mj-section></mj-body></mjml>`
  const { late, findings } = await compile({ source, partials: {} })
  expect(findings).toEqual([])
  expect(late).toBeDefined()
})
