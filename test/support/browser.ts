import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import type { AxeResults } from 'axe-core'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, onTestFinished } from 'vitest'
import type { Tool } from './prerequisites.mjs'
import { smallPng } from './smallPng.js'

const IMAGES = path.resolve(import.meta.dirname, '../../.github/images')
const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

export const PHONE = { width: 375, height: 760 }

/** Pictures for the README are made only when asked for: `UPDATE_SCREENSHOTS=1 npm test -- test/server/startPage.test.ts` */
export const UPDATING = process.env['UPDATE_SCREENSHOTS'] === '1'

/** Opens a page on which an error, a warning on the console, a thing its policy refuses, or a request to elsewhere fails the test. */
export type OpenPage = (address: string, options?: BrowserContextOptions) => Promise<Page>

/** To be called in a describe block, whose tests share one browser; each page has a session of its own. */
export function useBrowser({ command, args, env }: Tool): OpenPage {
  let browser: Browser
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: command, args, env: { ...process.env, ...env } })
  })
  afterAll(() => browser.close())

  return async (address, options = {}) => {
    const { origin } = new URL(address)
    const context = await browser.newContext(options)
    onTestFinished(() => context.close())
    const page = await context.newPage()
    page.setDefaultTimeout(240_000)
    const problems: string[] = []
    page.on('pageerror', (error) => problems.push(String(error)))
    page.on('console', (message) => {
      // Of the page's own policy: what a mail's policy keeps back in its frame is as it should be.
      const refused = /(script|style|connect)-src 'self'/.test(message.text())
      if (refused || message.type() === 'warning') problems.push(message.text())
    })
    // A request that a policy stopped has no response.
    context.on('response', (response) => {
      const url = response.url()
      if (!/^(data|blob|about):/.test(url) && !url.startsWith(`${origin}/`))
        problems.push(`a request to ${url}`)
    })
    onTestFinished(() => expect(problems).toEqual([]))
    await page.goto(address)
    return page
  }
}

/** The problems that axe-core finds serious, as sentences. */
export async function seriousFaults(page: Page): Promise<string[]> {
  return faultsOf(page, ({ impact }) => impact === 'serious' || impact === 'critical')
}

/** Every violation that axe-core finds, as sentences. Frames are left out: mail is not ours. */
export async function faultsOf(
  page: Page,
  counts: (violation: AxeResults['violations'][number]) => boolean = () => true,
): Promise<string[]> {
  if (await page.evaluate("typeof axe === 'undefined'")) await page.evaluate(AXE)
  const run = "axe.run(document, { iframes: false, resultTypes: ['violations'] })"
  const { violations } = await page.evaluate<AxeResults>(run)
  return violations
    .filter(counts)
    .flatMap(({ id, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id}: ${target.join(' ')} ${failureSummary ?? ''}`),
    )
}

export function widthOf(page: Page): Promise<number> {
  return page.evaluate<number>('document.documentElement.scrollWidth')
}

/** The texts of what sticks out of its card, bar, or page without a way to scroll there. */
export function stickingOut(page: Page): Promise<string[]> {
  return page.evaluate<string[]>(`[...document.querySelectorAll('body *')]
    .filter((element) => {
      const { left, right, width, height } = element.getBoundingClientRect()
      const frame = element.parentElement.closest('section, article, header, nav, main, .card, .panel')
      if (frame === null || width === 0 || height === 0 || getComputedStyle(element).position === 'absolute') return false
      for (let outer = element.parentElement; outer !== null; outer = outer.parentElement)
        if (/auto|scroll|hidden/.test(getComputedStyle(outer).overflowX)) return false
      const bounds = frame.getBoundingClientRect()
      return left < bounds.left - 1 || right > bounds.right + 1
    })
    .map(({ tagName, textContent }) => tagName.toLowerCase() + ': ' + textContent.trim().slice(0, 40))`)
}

/** The pictures that the root README shows: the package carries them, so they have to be small. */
const PACKAGED = ['start.png']

/** Writes what the page shows into the folder of pictures. */
export async function picture(page: Page, name: string, settle = 600): Promise<void> {
  await mkdir(IMAGES, { recursive: true })
  await page.waitForTimeout(settle)
  const png = await page.screenshot()
  await writeFile(path.join(IMAGES, name), PACKAGED.includes(name) ? smallPng(png) : png)
}
