import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { type RedisServer, startRedis } from './support/redis.js'
import { post, serve } from './support/serve.js'
import { describeWith } from './support/tools.js'

const SCREEN = { viewport: { width: 1240, height: 900 } }
const HOUR = 3_600_000

describeWith(['chromium', 'redis-server'], 'the main server with its queue in Redis', (tools) => {
  let redis: RedisServer
  let browser: Browser
  let url: string
  beforeAll(async () => {
    const { command, args, env } = tools.chromium
    redis = await startRedis(tools['redis-server'])
    browser = await chromium.launch({ executablePath: command, args, env: { ...process.env, ...env } })
  })
  afterAll(async () => {
    await browser.close()
    await redis.close()
  })

  /** The server as it is started from a shell, on a Redis of its own. */
  async function start(): Promise<void> {
    ;({ url } = await serve({ THREADPOST_QUEUE: redis.url }))
  }

  async function open(place: string, options: BrowserContextOptions = SCREEN): Promise<Page> {
    const context = await browser.newContext(options)
    onTestFinished(() => context.close())
    const page = await context.newPage()
    page.setDefaultTimeout(15_000)
    const problems: string[] = []
    page.on('pageerror', (error) => problems.push(String(error)))
    onTestFinished(() => expect(problems).toEqual([]))
    await page.goto(url + place)
    return page
  }

  async function signUp(page: Page, name: string, outcome: string): Promise<void> {
    await page.getByLabel('Name').fill(name)
    await page.getByLabel('Email').fill(`${name.toLowerCase()}@example.com`)
    await page.getByRole('button', { name: 'Sign up' }).click()
    await page.locator('#verdict', { hasText: outcome }).waitFor()
  }

  async function setFaults(faults: object[]): Promise<void> {
    const response = await fetch(`${url}/inbox/api/faults`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(faults),
    })
    expect(response.status).toBe(200)
  }

  const badge = (page: Page, status: string) =>
    page.locator('.explained .badge', { hasText: status }).waitFor()

  test('a sign-up, its mail, and what one may do to a message', async () => {
    await start()
    const page = await open('/')
    await signUp(page, 'Ada', 'Sent')
    expect(await page.locator('#step-rendered .lane').textContent()).toMatch(/^thread \d+$/)
    await page.getByRole('link', { name: 'Read it in the inbox' }).click()
    await page.getByRole('heading', { level: 2, name: /Welcome.*Ada/ }).waitFor()

    await setFaults([{ at: 'rcpt', do: 'refuse', reply: '550 5.1.1 No such user' }])
    await page.goto(url)
    await signUp(page, 'Grace', 'Failed')
    await setFaults([])
    const later = await post(url, { to: 'later@example.com', subject: 'Later', text: 'x', delay: HOUR })
    const { id } = (await later.json()) as { id: string }

    await page.goto(`${url}/mail/#/messages`)
    const rows = page.locator('.messages tbody tr')
    await expect.poll(() => rows.count(), { timeout: 10_000 }).toBe(3)
    await page.getByRole('link', { name: 'grace@example.com' }).click()
    await badge(page, 'failed')
    await page.getByText('550 5.1.1 No such user').first().waitFor()
    await page.getByRole('button', { name: 'Retry' }).click()
    await badge(page, 'sent')

    await page.goto(`${url}/mail/#/messages/${id}`)
    await badge(page, 'queued')
    await page.getByRole('button', { name: 'Cancel' }).click()
    await badge(page, 'cancelled')

    await page.goto(`${url}/mail/#/messages?status=sent`)
    await expect.poll(() => rows.count(), { timeout: 10_000 }).toBe(2)
    // What Redis can't look for is said.
    await page.goto(`${url}/mail/#/messages?q=ada`)
    await page.getByText('whole ids only').first().waitFor()
    await page.goto(`${url}/mail/`)
    await page.locator('.count.sent strong', { hasText: '2' }).waitFor()
    await page.getByRole('button', { name: 'Pause sending' }).click()
    await page.getByRole('heading', { name: 'Sending is paused' }).waitFor()
    await page.getByRole('button', { name: 'Resume sending' }).click()
    await page.getByRole('button', { name: 'Pause sending' }).waitFor()
  })

  test('500 receipts, a killed thread and lost replies: none is lost, and each double is marked', async () => {
    await start()
    const page = await open('/')
    await page.getByRole('button', { name: '500 receipts through threads' }).click()
    await page.locator('.cell[data-fate=sent]').first().waitFor()
    await page.getByRole('button', { name: 'Kill a thread' }).click()
    await page.getByText(/Thread \d+ was ended/).waitFor()
    await page.getByRole('button', { name: 'Drop the connection after the dot' }).click()
    await page.locator('.cell[data-uncertain]').first().waitFor()
    await page.locator('#run-title', { hasText: 'done' }).waitFor({ timeout: 30_000 })
    expect(await page.locator('#grid .cell[data-fate=sent]').count()).toBe(500)
    const proof = (await page.locator('#proof').textContent()) ?? ''
    expect(proof).toMatch(/^500 receipts are in the inbox\./)
    expect(proof).not.toContain('without a mark')
  }, 60_000)
})
