import { readFile } from 'node:fs/promises'
import path from 'node:path'
import type { BrowserContextOptions, Page } from 'playwright-core'
import type { Mailer, MailerOptions } from 'threadpost'
import type { Inbox } from 'threadpost/testing'
import { beforeEach, onTestFinished } from 'vitest'
import type * as built from '../../src/server/server.js'
import { useBrowser } from './browser.js'
import { testMailer } from './mailer.js'
import type { Tool } from './prerequisites.mjs'

const { startServer } = (await import(
  new URL('../../dist/src/server/server.js', import.meta.url).href
)) as typeof built

const TEMPLATES = path.resolve(import.meta.dirname, '../../templates')

/** The main server with an embedded inbox, closed when the test ends. */
export async function startSite(
  options: Partial<MailerOptions> = {},
  token?: string,
): Promise<{ mailer: Mailer; url: string }> {
  const mailer = await testMailer({ transport: 'inbox:', templates: TEMPLATES, threads: 1, ...options })
  const server = await startServer({ mailer, port: 0, ...(token === undefined ? {} : { token }) })
  onTestFinished(() => server.close())
  return { mailer, url: server.url }
}

/** The dashboard of such a server. */
export async function startDashboard(
  options: Partial<MailerOptions> = {},
  token?: string,
): Promise<{ mailer: Mailer; url: string }> {
  const { mailer, url } = await startSite(options, token)
  return { mailer, url: `${url}/mail/` }
}

/** The data that lie beside a template of the package's. */
export async function sample(template: string): Promise<object> {
  return JSON.parse(await readFile(path.join(TEMPLATES, `${template}.json`), 'utf8')) as object
}

/** A site anew for each test, and a browser to look at it. */
export interface Site {
  mailer: Mailer
  inbox: Inbox
  url: string
  open(place: string, options?: BrowserContextOptions): Promise<Page>
  sendSample(template: string): Promise<void>
}

/** To be called in a describe block; what it returns is filled before each test. */
export function useSite(tool: Tool): Site {
  const open = useBrowser(tool)
  const site = {
    open: (place, options) => open(site.url + place, options),
    async sendSample(template) {
      const to = 'Ada Lovelace <ada@example.com>'
      await site.mailer.sendAndWait({ template, data: await sample(template), to })
    },
  } as Site

  beforeEach(async () => {
    // A retry waits long enough to be seen.
    const { mailer, url } = await startSite({ retry: { baseDelay: 1000, factor: 1, jitter: 'none' } })
    if (mailer.inbox === undefined) throw new Error('inbox: gave no inbox')
    Object.assign(site, { mailer, url, inbox: mailer.inbox })
  })
  return site
}
