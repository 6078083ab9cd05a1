import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import axe from 'axe-core'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import type { Mailer, MailerOptions } from 'threadpost'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import type * as built from '../src/server/server.js'
import { folderOf } from './support/folder.js'
import { testMailer } from './support/mailer.js'
import { startRedis } from './support/redis.js'
import { describeWith, itWith } from './support/tools.js'

const { startServer } = (await import(
  new URL('../dist/src/server/server.js', import.meta.url).href
)) as typeof built

const ROOT = path.dirname(import.meta.dirname)
const IMAGES = path.join(ROOT, '.github/images')
const TEMPLATES = path.join(ROOT, 'templates')
/** The machine may have other things to do. */
const PATIENCE = { timeout: 10_000 }
const PHONE = { width: 375, height: 760 }
const WELCOME = `<mjml><mj-head><mj-title>Hello {{name}}</mj-title></mj-head>
  <mj-body><mj-section><mj-column><mj-text>Hello {{name}}</mj-text></mj-column></mj-section></mj-body></mjml>`

describeWith(['chromium'], 'the dashboard in a browser', (tools) => {
  let browser: Browser

  beforeAll(async () => {
    const { command, args, env } = tools.chromium
    browser = await chromium.launch({ executablePath: command, args, env: { ...process.env, ...env } })
  })
  afterAll(() => browser.close())

  async function start(
    options: Partial<MailerOptions> = {},
    token?: string,
  ): Promise<{ mailer: Mailer; url: string }> {
    const mailer = await testMailer({ transport: 'inbox:', templates: TEMPLATES, threads: 1, ...options })
    const server = await startServer({ mailer, port: 0, ...(token === undefined ? {} : { token }) })
    onTestFinished(() => server.close())
    return { mailer, url: `${server.url}/mail/` }
  }

  /** A page on which an error, or anything that the policy keeps back, fails the test. */
  async function open(address: string, options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext(options)
    onTestFinished(() => context.close())
    const page = await context.newPage()
    page.setDefaultTimeout(PATIENCE.timeout)
    const errors: string[] = []
    page.on('pageerror', (error) => errors.push(error.message))
    page.on('console', (message) => {
      // Of the page's own policy: what a mail's policy keeps back in its frame is as it should be.
      if (/(script|style|connect)-src 'self'/.test(message.text())) errors.push(message.text())
    })
    onTestFinished(() => expect(errors).toEqual([]))
    await page.goto(address)
    return page
  }

  const badge = (page: Page, status: string) =>
    page.locator('.explained .badge', { hasText: status }).waitFor()
  const rowsAre = (page: Page, count: number) =>
    expect.poll(() => page.locator('.messages tbody tr').count(), PATIENCE).toBe(count)

  /** For the README: `UPDATE_SCREENSHOTS=1 npm test -- test/dashboard.test.ts` */
  async function picture(page: Page, name: string): Promise<void> {
    if (process.env['UPDATE_SCREENSHOTS'] !== '1') return
    await mkdir(IMAGES, { recursive: true })
    await page.screenshot({ path: path.join(IMAGES, name) })
  }

  test('the overview is alive: counts, pausing, trying the transport', async () => {
    const { mailer, url } = await start()
    const page = await open(url)
    await page.getByRole('heading', { level: 1, name: 'No mail yet' }).waitFor()
    await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        mailer.sendAndWait({ to: `a${n}@example.com`, subject: 'Hi', text: 'x' }),
      ),
    )
    await page.locator('.count.sent strong', { hasText: '20' }).waitFor()
    await page.locator('.chart', { hasText: 'Success' }).getByText('100 %').waitFor()
    expect(await page.locator('.chart-line').count()).toBeGreaterThan(0)
    expect(await page.locator('.threads tbody tr').count()).toBe(1)

    await page.getByRole('button', { name: 'Try it' }).click()
    await page.getByText(/It works: .* answered within/).waitFor()
    await page.getByRole('button', { name: 'Pause sending' }).click()
    await page.getByRole('heading', { name: 'Sending is paused' }).waitFor()
    expect((await mailer.stats()).paused).toBe(true)
    await mailer.send({ to: 'late@example.com', subject: 'Hi', text: 'x' })
    await page.getByText('1 message waits').waitFor()
    await page.getByRole('button', { name: 'Resume sending' }).click()
    await page.locator('.count.sent strong', { hasText: '21' }).waitFor()
  })

  test('with a token one logs in, does something, and logs out', async () => {
    const { mailer, url } = await start({}, 'a-long-secret')
    const page = await open(`${url}preview`)
    await page.getByLabel('Token').fill('a-long-secret')
    await page.getByRole('button', { name: 'Log in' }).click()
    await page.getByRole('link', { name: 'welcome' }).waitFor()
    await page.getByRole('link', { name: 'Overview' }).click()
    await page.getByRole('button', { name: 'Pause sending' }).click()
    await page.getByText('The queue is paused').waitFor()
    expect((await mailer.stats()).paused).toBe(true)
    await page.getByRole('button', { name: 'Log out' }).click()
    await page.getByLabel('Token').waitFor()
    await page.goto(url)
    await page.getByLabel('Token').waitFor()
  })

  test('safe mode is seen on every page', async () => {
    const { url } = await start({ safeMode: { redirectTo: 'staging@acme.example' } })
    const page = await open(url)
    for (const place of ['Overview', 'Messages', 'Previews']) {
      await page.getByRole('link', { name: place }).first().click()
      await page.getByText('Safe mode is on: mail goes to those allowed only').waitFor()
    }
  })

  test('where recipients are shortened, the mail is shown to who opens it', async () => {
    const { mailer, url } = await start({ retain: { data: 'kept' }, redact: { recipients: true } })
    const { id } = await mailer.sendAndWait({ to: 'ada@example.com', subject: 'Hi', text: 'Hello Ada' })
    const page = await open(`${url}#messages/${id}`)
    await page.getByText('Recipients are shortened here').waitFor()
    expect(await page.content()).not.toContain('ada@example.com')
    await page.getByRole('button', { name: 'Open the mail' }).click()
    await page.getByRole('tab', { name: 'Headers' }).click()
    await page.getByText('ada@example.com').waitFor()
  })

  itWith(['redis-server'], 'a search that the queue can’t do is told as a hint', async (programs) => {
    const redis = await startRedis(programs['redis-server'])
    onTestFinished(() => redis.close())
    const { mailer, url } = await start({ queue: redis.url })
    await mailer.sendAndWait({ to: 'ada@example.com', subject: 'Hi', text: 'Hello Ada' })
    const page = await open(`${url}#messages`)
    await rowsAre(page, 1)
    await page.getByLabel('Search').fill('hello')
    await page.getByText('On Redis the search finds whole ids only').waitFor()
    expect(await page.getByRole('alert').count()).toBe(0)
    await rowsAre(page, 0)
    await page.getByLabel('Search').fill('')
    await rowsAre(page, 1)
  })

  test('one finds a message, cancels it, and redrives the dead', async () => {
    const { mailer, url } = await start({ retain: { data: 'kept' } })
    const faults = mailer.inbox!.faults
    faults.set([{ at: 'rcpt', do: 'refuse', reply: '550 5.1.1 No such user' }])
    for (const name of ['ada', 'grace', 'alan'])
      await mailer.sendAndWait({
        template: 'reset-password',
        data: await sample('reset-password'),
        to: `${name}@example.com`,
        tags: ['account'],
      })
    const { id } = await mailer.send({
      to: 'later@example.com',
      subject: 'Later',
      text: 'x',
      delay: 3_600_000,
    })

    const page = await open(`${url}#/messages`)
    await rowsAre(page, 4)
    await page.keyboard.press('/')
    await page.keyboard.type('later@')
    await rowsAre(page, 1)
    await page.keyboard.press('Tab')
    await page.evaluate('document.activeElement.blur()')
    await page.keyboard.press('j')
    await page.keyboard.press('Enter')
    await badge(page, 'queued')
    await page.getByRole('button', { name: 'Cancel' }).click()
    await badge(page, 'cancelled')
    expect((await mailer.find(id))?.status).toBe('cancelled')

    await page.goto(`${url}#/messages?tag=account`)
    await rowsAre(page, 3)
    await page.getByLabel('Status').selectOption('failed')
    await page.waitForURL(/status=failed/)
    await rowsAre(page, 3)
    await page.getByText('550 5.1.1 No such user').first().waitFor()
    faults.set([])
    await page.getByRole('checkbox', { name: 'Select the message to ada@example.com' }).check()
    await page.getByRole('button', { name: 'Retry', exact: true }).click()
    await page.getByText('1 message put back in line.').waitFor()
    await page.getByRole('button', { name: 'Retry all that fit…' }).click()
    const dialog = page.getByRole('dialog')
    expect(await dialog.textContent()).toContain('account')
    await dialog.getByRole('button', { name: 'Retry all' }).click()
    await page.getByText('2 messages put back in line.').waitFor()
    await page.getByText('No message fits').waitFor()
    await expect.poll(async () => (await mailer.stats()).sent, PATIENCE).toBe(3)

    await page.goto(`${url}#/messages?q=grace`)
    await page.getByRole('link', { name: 'grace@example.com' }).click()
    await badge(page, 'sent')
    expect(await page.locator('.timeline > li').count()).toBe(3)
    await page.frameLocator('iframe').getByText('Reset').first().waitFor()
    await page.getByRole('tab', { name: 'Headers' }).click()
    await page.getByText('Message-ID', { exact: true }).last().waitFor()
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'Download .eml' }).click(),
    ])
    expect(await readFile(await download.path(), 'utf8')).toMatch(/^To: grace@example\.com\r$/m)
  })

  test('a preview follows the data and the file, and says what is wrong', async () => {
    const folder = await folderOf({})
    const file = path.join(folder, 'welcome.mjml')
    await writeFile(file, WELCOME)
    await writeFile(path.join(folder, 'welcome.fr.mjml'), WELCOME.replaceAll('Hello', 'Bonjour'))
    await writeFile(path.join(folder, 'welcome.json'), '{ "name": "Ada" }')
    await writeFile(
      path.join(folder, 'wide.mjml'),
      `<mjml><mj-body><mj-section><mj-column width="{{width}}%"><mj-text>Hi</mj-text></mj-column></mj-section></mj-body></mjml>`,
    )
    const { mailer, url } = await start({ templates: folder })
    const page = await open(`${url}preview#/welcome`)
    const frame = page.frameLocator('iframe')
    const subject = (text: string) => page.locator('.subject', { hasText: text }).waitFor()
    await subject('Hello Ada')
    await frame.getByText('Hello Ada').waitFor()
    await page.getByText('Compiles once').waitFor()

    const data = page.getByRole('textbox', { name: 'Data' })
    await data.fill('{\n  "name": "Bob",\n}')
    await page.getByText(/^Line [23]: /).waitFor()
    await data.fill('{}')
    await page.locator('.problem code', { hasText: 'name' }).waitFor()
    await data.fill('{ "name": "Bob" }')
    await frame.getByText('Hello Bob').waitFor()
    await page.getByLabel('Locale').selectOption('fr')
    await subject('Bonjour Bob')
    await page.getByLabel('Locale').selectOption('')
    await subject('Hello Bob')

    await writeFile(file, WELCOME.replaceAll('Hello', 'Good day'))
    await subject('Good day Bob')
    await writeFile(file, WELCOME.replace('<mj-text>', `<mj-text>${'lorem ipsum '.repeat(10_000)}`))
    await page.getByText('Gmail clips it').waitFor()
    await writeFile(file, WELCOME.replace('</mj-body>', '{{/if}}</mj-body>'))
    await page.locator('.problem', { hasText: 'welcome.mjml' }).first().waitFor()
    await writeFile(file, WELCOME)
    await subject('Hello Bob')

    await page.getByLabel('To').fill('bob@example.com')
    await page.getByRole('button', { name: 'Send', exact: true }).click()
    await page.getByRole('link', { name: 'see what becomes of it' }).click()
    await badge(page, 'sent')
    expect((await mailer.inbox!.messages())[0]?.subject).toBe('Hello Bob')
    // What it said was dropped with its settlement.
    await page.getByText('dropped when it was settled').waitFor()
    await page.goto(`${url}preview#/wide`)
    await page.getByText('Binds first').waitFor()
  })

  test('hostile strings are text, everywhere', async () => {
    const elsewhere = http.createServer((_request, response) => response.end())
    elsewhere.listen(0, '127.0.0.1')
    await once(elsewhere, 'listening')
    let connections = 0
    elsewhere.on('connection', () => connections++)
    onTestFinished(() => void elsewhere.close())
    const evil = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}`
    const attack = `"><img src="${evil}" onerror="document.title='ran'"><script>document.title='ran'</script>`
    const named = `<img src=x onerror=document.title='ran'>`

    const folder = await folderOf({})
    await writeFile(path.join(folder, `${named}.mjml`), WELCOME)
    await writeFile(path.join(folder, `${named}.json`), JSON.stringify({ name: attack }))
    const { mailer, url } = await start({ templates: folder })
    mailer.inbox!.faults.set([{ at: 'rcpt', do: 'refuse', reply: `550 ${attack.slice(0, 200)}` }])
    const message = await mailer.sendAndWait({
      to: { name: attack.slice(0, 90), address: 'bob@example.com' },
      subject: attack,
      tags: [named],
      metadata: { [named]: attack },
      html: `<head><meta http-equiv="refresh" content="0;url=${evil}"></head>${attack}<iframe src="${evil}"></iframe><p>Here</p>`,
      text: attack,
      attachments: [{ filename: `${named}.html`, content: attack }],
    })
    await mailer.sendAndWait({ template: named, data: { name: attack }, to: 'eve@example.com' })

    for (const place of [
      '',
      '#/messages',
      `#/messages/${message.id}`,
      `preview#/${encodeURIComponent(named)}`,
    ]) {
      const page = await open(url + place)
      await page.getByRole('heading', { level: 1 }).waitFor()
      if (place.includes(message.id) || place.startsWith('preview')) {
        const frame = page.frameLocator('iframe')
        await frame
          .getByText(place.startsWith('preview') ? 'Hello' : 'Here')
          .first()
          .waitFor()
        await page.getByRole('tab', { name: 'Text' }).click()
        await page.locator('.plain', { hasText: 'onerror' }).waitFor()
      }
      if (place === '#/messages') await rowsAre(page, 2)
      expect(await page.title()).not.toBe('ran')
      expect(await page.evaluate('document.scripts.length'), place).toBe(1)
      expect(await page.locator('#app img, #app script').count(), place).toBe(0)
      if (place === `#/messages/${message.id}`)
        expect(await page.locator('main').textContent()).toContain(attack)
    }
    expect(connections).toBe(0)
  })

  test('no serious fault for a screen reader, light and dark; all fits a phone', async () => {
    const { mailer, url } = await start({ retain: { data: 'kept' } })
    const data = await sample('receipt')
    const { id } = await mailer.sendAndWait({
      template: 'receipt',
      data,
      to: 'ada@example.com',
      tags: ['billing'],
    })
    mailer.inbox!.faults.set([{ at: 'rcpt', do: 'refuse', reply: '550 5.1.1 No such user' }])
    await mailer.sendAndWait({ template: 'receipt', data, to: `${'x'.repeat(60)}@example.com` })
    await mailer.pause()
    for (const colorScheme of ['light', 'dark'] as const) {
      const page = await open(url, { colorScheme, viewport: PHONE })
      for (const [place, ready] of [
        ['', '.reasons'],
        ['#/messages', '.messages'],
        [`#/messages/${id}`, 'iframe'],
        ['preview#/receipt', 'iframe'],
      ] as const) {
        await page.goto(url + place)
        await page.locator(ready).waitFor()
        const width = await page.evaluate<number>('document.documentElement.scrollWidth')
        expect(width, place).toBeLessThanOrEqual(PHONE.width)
        await page.evaluate(axe.source)
        const faults = await page.evaluate<{ id: string; impact: string; nodes: { html: string }[] }[]>(
          `axe.run(document, { iframes: false }).then(({ violations }) => violations)`,
        )
        const serious = faults.filter(({ impact }) => impact === 'serious' || impact === 'critical')
        expect(
          serious.map(({ id: rule, nodes }) => `${rule}: ${nodes[0]?.html ?? ''}`),
          place,
        ).toEqual([])
      }
    }
  })

  test('pictures for the README', async () => {
    if (process.env['UPDATE_SCREENSHOTS'] !== '1') return
    const faults = [
      { at: 'rcpt', do: 'refuse', reply: '550 5.1.1 No such user', probability: 0.02 },
      { at: 'dot', do: 'defer', probability: 0.02 },
      { at: 'dot', do: 'delay', ms: 60 },
    ]
    const server = fork(path.join(ROOT, 'test/support/inboxProcess.mjs'), [JSON.stringify(faults)])
    onTestFinished(() => void server.kill())
    const [transport] = (await once(server, 'message')) as [string]
    const { mailer, url } = await start({ transport, threads: 2, retry: { baseDelay: 2_000 } })
    const templates = await Promise.all(
      ['receipt', 'reset-password', 'welcome'].map(async (name) => ({
        template: name,
        data: await sample(name),
      })),
    )
    let count = 0
    const timer = setInterval(() => {
      for (let n = 0; n < 12 + 6 * Math.sin(count / 400); n++) {
        const names = ['ada', 'grace', 'alan', 'edsger', 'barbara', 'donald', 'radia', 'margaret']
        void mailer.send({ ...templates[count % 3]!, to: `${names[count++ % 8]!}@example.com` })
      }
    }, 100)
    onTestFinished(() => clearInterval(timer))
    const screen = { viewport: { width: 1240, height: 840 }, deviceScaleFactor: 2 }
    await setTimeout(10_000)
    const page = await open(url, screen)
    await page.waitForTimeout(40_000)
    await picture(page, 'dashboard.png')
    clearInterval(timer)
    const preview = await open(`${url}preview#/receipt`, screen)
    await preview.frameLocator('iframe').getByText('Total paid').first().waitFor()
    await picture(preview, 'preview.png')
  }, 90_000)
})

async function sample(template: string): Promise<object> {
  return JSON.parse(await readFile(path.join(TEMPLATES, `${template}.json`), 'utf8')) as object
}
