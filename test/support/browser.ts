import { mkdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import type { AxeResults } from 'axe-core'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import type { Mailer } from 'threadpost'
import type { Inbox } from 'threadpost/testing'
import { afterAll, beforeAll, beforeEach, expect, onTestFinished } from 'vitest'
import type * as built from '../../src/server/server.js'
import { testMailer } from './mailer.js'
import type { Tool } from './prerequisites.mjs'

const { startServer } = (await import(
  new URL('../../dist/src/server/server.js', import.meta.url).href
)) as typeof built

const ROOT = path.resolve(import.meta.dirname, '../..')
const IMAGES = path.join(ROOT, '.github/images')
const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

export const PHONE = { width: 375, height: 760 }

/** The main server with an embedded inbox, anew for each test, and a browser to look at it. */
export interface Site {
  mailer: Mailer
  inbox: Inbox
  url: string
  /** A page whose script errors, refused contents and requests to elsewhere fail the test. */
  open(place: string, options?: BrowserContextOptions): Promise<Page>
  sendSample(template: string): Promise<void>
}

/** To be called in a describe block; what it returns is filled before each test. */
export function useSite({ command, args, env }: Tool): Site {
  let browser: Browser
  const site = { open, sendSample } as Site

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: command, args, env: { ...process.env, ...env } })
  })
  afterAll(() => browser.close())

  beforeEach(async () => {
    site.mailer = await testMailer({
      transport: 'inbox:',
      templates: path.join(ROOT, 'templates'),
      threads: 1,
      // Long enough to be seen.
      retry: { baseDelay: 1000, factor: 1, jitter: 'none' },
    })
    if (site.mailer.inbox === undefined) throw new Error('inbox: gave no inbox')
    site.inbox = site.mailer.inbox
    const server = await startServer({ mailer: site.mailer, port: 0 })
    onTestFinished(() => server.close())
    site.url = server.url
  })

  async function open(place: string, options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext(options)
    onTestFinished(() => context.close())
    const page = await context.newPage()
    page.setDefaultTimeout(15_000)
    const problems: string[] = []
    page.on('pageerror', (error) => problems.push(String(error)))
    // A request that the page's policy stopped has no response.
    context.on('response', (response) => {
      if (!/^(data|blob|about):/.test(response.url()) && !response.url().startsWith(`${site.url}/`))
        problems.push(`a request to ${response.url()}`)
    })
    onTestFinished(() => expect(problems).toEqual([]))
    await page.goto(site.url + place)
    return page
  }

  async function sendSample(template: string): Promise<void> {
    const file = path.join(ROOT, 'templates', `${template}.json`)
    const data = JSON.parse(await readFile(file, 'utf8')) as object
    await site.mailer.sendAndWait({ template, data, to: 'Ada Lovelace <ada@example.com>' })
  }

  return site
}

/** What axe-core finds serious, as sentences. Frames are looked into by nobody: mail is not ours. */
export async function seriousFaults(page: Page): Promise<string[]> {
  await page.evaluate(AXE)
  const run = "axe.run(document, { iframes: false, resultTypes: ['violations'] })"
  const { violations } = await page.evaluate<AxeResults>(run)
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id}: ${target.join(' ')} ${failureSummary ?? ''}`),
    )
}

export function widthOf(page: Page): Promise<number> {
  return page.evaluate<number>('document.documentElement.scrollWidth')
}

/** Puts what the page shows into the README's folder of pictures. */
export async function picture(page: Page, name: string, settle = 600): Promise<void> {
  await mkdir(IMAGES, { recursive: true })
  await page.waitForTimeout(settle)
  await page.screenshot({ path: path.join(IMAGES, name) })
}
