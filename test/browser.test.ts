import { once } from 'node:events'
import { mkdir, readFile } from 'node:fs/promises'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import type { Mailer } from 'threadpost'
import type { Inbox } from 'threadpost/testing'
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import type * as built from '../src/server.js'
import { testMailer } from './support/mailer.js'
import { describeWith } from './support/tools.js'

const { startServer } = (await import(new URL('../dist/src/server.js', import.meta.url).href)) as typeof built

const ROOT = path.dirname(import.meta.dirname)
const IMAGES = path.join(ROOT, '.github/images')
const PHONE = { width: 375, height: 760 }

describeWith(['chromium'], 'in a browser', (tools) => {
  let browser: Browser
  let mailer: Mailer
  let inbox: Inbox
  let url: string

  beforeAll(async () => {
    const { command, args, env } = tools.chromium
    browser = await chromium.launch({ executablePath: command, args, env: { ...process.env, ...env } })
  })
  afterAll(() => browser.close())

  beforeEach(async () => {
    mailer = await testMailer({
      transport: 'inbox:',
      templates: path.join(ROOT, 'templates'),
      threads: 1,
      // Long enough to be seen.
      retry: { baseDelay: 1000, factor: 1, jitter: 'none' },
    })
    if (mailer.inbox === undefined) throw new Error('inbox: gave no inbox')
    inbox = mailer.inbox
    const server = await startServer({ mailer, port: 0 })
    onTestFinished(() => server.close())
    url = server.url
  })

  /** A page whose script errors fail the test. */
  async function open(place: string, options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext(options)
    onTestFinished(() => context.close())
    const page = await context.newPage()
    const errors: Error[] = []
    page.on('pageerror', (error) => errors.push(error))
    onTestFinished(() => expect(errors).toEqual([]))
    await page.goto(url + place)
    return page
  }

  async function signUp(page: Page, name: string, email: string): Promise<void> {
    await page.getByLabel('Name').fill(name)
    await page.getByLabel('Email').fill(email)
    await page.getByRole('button', { name: 'Sign up' }).click()
  }

  const verdict = (page: Page, text: string) => page.locator('#verdict', { hasText: text }).waitFor()

  async function sendSample(template: string): Promise<void> {
    const data = JSON.parse(
      await readFile(path.join(ROOT, 'templates', `${template}.json`), 'utf8'),
    ) as object
    await mailer.sendAndWait({ template, data, to: 'Ada Lovelace <ada@example.com>' })
  }

  /** For the README: `UPDATE_SCREENSHOTS=1 npm test -- test/browser.test.ts` */
  async function picture(page: Page, name: string): Promise<void> {
    if (process.env['UPDATE_SCREENSHOTS'] !== '1') return
    await mkdir(IMAGES, { recursive: true })
    await page.waitForTimeout(300)
    await page.screenshot({ path: path.join(IMAGES, name) })
  }

  test('one signs up, sees the mail sent by a thread, and reads it in the inbox', async () => {
    for (const template of ['receipt', 'reset-password', 'welcome']) await sendSample(template)
    const screen = { viewport: { width: 1240, height: 760 }, deviceScaleFactor: 2 }
    const page = await open('/', screen)
    await signUp(page, 'Ada Lovelace', 'ada@example.com')
    await verdict(page, 'Sent')
    expect(await page.locator('#step-rendered .lane').textContent()).toMatch(/^thread \d+$/)
    expect(await page.locator('#step-delivered .note').textContent()).toMatch(/^250 /)
    for (const step of ['accepted', 'rendered', 'composed', 'delivered', 'settled'])
      expect(await page.locator(`#step-${step}`).getAttribute('data-state')).toBe('done')
    await picture(page, 'start.png')

    await page.getByRole('link', { name: 'Read it in the inbox' }).click()
    await page.getByRole('heading', { level: 2, name: /Welcome.*Ada Lovelace/ }).waitFor()
    await page
      .frameLocator('iframe')
      .getByRole('heading', { name: /Welcome.*Ada Lovelace/ })
      .waitFor()
    expect(await page.locator('.row').count()).toBe(4)
    await picture(page, 'inbox.png')

    await page.getByRole('link', { name: 'Headers' }).click()
    await page.getByText(inbox.stored().at(-1)!.envelope.to[0]!).first().waitFor()
    expect(await page.locator('.headers').textContent()).toContain('Message-ID')
    await page.getByRole('link', { name: 'threadpost', exact: true }).click()
    await page.getByRole('button', { name: 'Sign up' }).waitFor()
  })

  test('a refusal and a retry are shown as they happen', async () => {
    const page = await open('/')
    inbox.faults.set([{ at: 'rcpt', do: 'refuse', reply: '550 5.1.1 No such user' }])
    await signUp(page, 'Ada', 'ada@example.com')
    await verdict(page, 'Failed')
    expect(await page.locator('#step-delivered .note').textContent()).toBe('550 5.1.1 No such user')

    inbox.faults.set([
      { at: 'dot', do: 'defer', times: 1 },
      { at: 'mail', do: 'delay', ms: 500 },
    ])
    await signUp(page, 'Ada', 'ada@example.com')
    await verdict(page, 'On its way')
    await verdict(page, 'Will be tried again')
    await verdict(page, 'Sent')

    await signUp(page, 'Ada', 'nobody')
    expect(await page.getByRole('alert').textContent()).toMatch(/\w/)
    expect(await page.getByLabel('Email').getAttribute('aria-invalid')).toBe('true')
  })

  test('the list of mails keeps itself fresh, and can be cleared', async () => {
    const page = await open('/inbox/')
    await page.getByText('No mail yet').waitFor()
    await mailer.sendAndWait({ to: 'bob@example.com', subject: 'First', text: 'one' })
    await page.getByText('First').waitFor()
    await page.getByText('First').click()
    await page.locator('pre', { hasText: 'one' }).waitFor()
    await mailer.sendAndWait({ to: 'bob@example.com', subject: 'Second', text: 'two' })
    await page.getByText('Second').waitFor()
    await page.keyboard.press('k')
    await page.locator('pre', { hasText: 'two' }).waitFor()
    await page.getByRole('button', { name: 'Clear' }).click()
    await page.getByText('No mail yet').waitFor()
    expect(inbox.stored()).toEqual([])
  })

  test('hostile mail runs no script and loads nothing', async () => {
    const hits: string[] = []
    const elsewhere = http.createServer((request, response) => {
      hits.push(request.url ?? '')
      response.end()
    })
    elsewhere.listen(0, '127.0.0.1')
    await once(elsewhere, 'listening')
    let connections = 0
    elsewhere.on('connection', () => connections++)
    onTestFinished(() => void elsewhere.close())
    const evil = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}`

    const script = `parent.postMessage('ran','*');fetch('${evil}/fetch')`
    const attack = `"><script>${script}</script><img src="${evil}/img" onerror="${script}">`
    const { id } = await mailer.send({
      to: { name: attack.slice(0, 90), address: 'bob@example.com' },
      subject: attack,
      text: `</pre>${attack}`,
      html: `<head><base href="${evil}/"><meta http-equiv="refresh" content="0;url=${evil}/refresh">
        <link rel="preconnect" href="${evil}"><link rel="stylesheet" href="${evil}/css">
        <style>@import '${evil}/import'; body { background: url(${evil}/background) } @font-face { font-family: x; src: url(${evil}/font) }</style></head>
        <body style="font-family: x">${attack}<svg onload="${script}"></svg><iframe src="${evil}/frame"></iframe>
        <object data="${evil}/object"></object><video src="${evil}/video" poster="${evil}/poster" autoplay></video>
        <form action="${evil}/form"><button>Submit</button></form>
        <a id="js" href="javascript:${script}">script</a> <a id="self" target="_self" href="${evil}/self">self</a></body>`,
      attachments: [{ filename: `${attack.replaceAll('/', '').slice(0, 100)}.html`, content: attack }],
    })
    await mailer.wait(id)

    const page = await open('/inbox/')
    await page.evaluate("addEventListener('message', () => { document.title = 'ran' })")
    await page.locator('.row').click()
    const frame = page.frameLocator('iframe')
    await frame.locator('#js').waitFor()
    await page.evaluate("addEventListener('message', () => { document.title = 'ran' })")
    await page.waitForTimeout(500)
    // Not even a connection, before somebody follows a link.
    expect(connections).toBe(0)
    await frame.locator('#js').click()
    await frame.locator('#self').click()
    for (const view of ['Text', 'Headers', 'Raw'])
      await page.getByRole('link', { name: view, exact: true }).click()
    await page.waitForTimeout(500)
    expect(await page.title()).not.toBe('ran')
    expect(hits).toEqual([])
    expect(await page.evaluate('document.scripts.length')).toBe(1)
  })

  test.each(['light', 'dark'] as const)('all fits a phone, %s', async (colorScheme) => {
    await sendSample('receipt')
    await mailer.sendAndWait({
      to: `${'x'.repeat(60)}@example.com`,
      subject: 'y'.repeat(300),
      text: 'z'.repeat(500),
    })
    const ids = inbox.stored().map(({ id }) => id)
    const places = [
      '/',
      '/inbox/',
      ...ids.flatMap((id) => [`/inbox/messages/${id}`, `/inbox/messages/${id}?view=raw`]),
    ]
    const page = await open('/', { viewport: PHONE, colorScheme })
    for (const place of places) {
      await page.goto(url + place)
      const width = await page.evaluate<number>('document.documentElement.scrollWidth')
      expect(width, place).toBeLessThanOrEqual(PHONE.width)
    }
  })
})
