import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'
import { useBrowser } from '../support/browser.js'
import { badge, rowsAre } from '../support/messagePages.js'
import { useRedis } from '../support/redis.js'
import { post, serve } from '../support/serve.js'
import { summaryOfRun, signUp, runWithFaults, waitForStatus } from '../support/startPage.js'
import { describeWith } from '../support/tools.js'

const SCREEN = { viewport: { width: 1240, height: 900 } }
const HOUR = 3_600_000

describeWith(['chromium', 'redis-server'], 'the main server with its queue in Redis', (tools) => {
  const redis = useRedis(tools['redis-server'])
  const openPage = useBrowser(tools.chromium)
  let url: string

  /** Starts the server as a shell does, with its queue in that Redis. */
  async function start(): Promise<void> {
    ;({ url } = await serve({ THREADPOST_QUEUE: redis.url }))
  }

  const open = (place: string) => openPage(url + place, SCREEN)

  async function signUpAs(page: Page, name: string, outcome: string): Promise<void> {
    await signUp(page, name, `${name.toLowerCase()}@example.com`)
    await waitForStatus(page, outcome)
  }

  async function setFaults(faults: object[]): Promise<void> {
    const response = await fetch(`${url}/inbox/api/faults`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(faults),
    })
    expect(response.status).toBe(200)
  }

  test('a visitor can sign up and read the mail, and an operator can retry, cancel, filter and pause', async () => {
    await start()
    const page = await open('/')
    await signUpAs(page, 'Ada', 'Sent')
    expect(await page.locator('#step-rendered .lane').textContent()).toMatch(/^thread \d+$/)
    await page.getByRole('link', { name: 'Read it in the inbox' }).click()
    await page.getByRole('heading', { level: 2, name: /Welcome.*Ada/ }).waitFor()

    await setFaults([{ at: 'rcpt', do: 'refuse', reply: '550 5.1.1 No such user' }])
    await page.goto(url)
    await signUpAs(page, 'Grace', 'Failed')
    await setFaults([])
    const later = await post(url, { to: 'later@example.com', subject: 'Later', text: 'x', delay: HOUR })
    const { id } = (await later.json()) as { id: string }

    await page.goto(`${url}/mail/#/messages`)
    await rowsAre(page, 3)
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
    await rowsAre(page, 2)
    // The page says before a search that Redis has no index for it.
    await page.goto(`${url}/mail/#/messages?q=ada`)
    await page.getByText('no search index').first().waitFor()
    await rowsAre(page, 1)
    await page.goto(`${url}/mail/`)
    await page.locator('.count.sent strong', { hasText: '2' }).waitFor()
    await page.getByRole('button', { name: 'Pause sending' }).click()
    await page.getByRole('heading', { name: 'Sending is paused' }).waitFor()
    await page.getByRole('button', { name: 'Resume sending' }).click()
    await page.getByRole('button', { name: 'Pause sending' }).waitFor()
  })

  test('delivers 500 accepted messages despite a killed thread and lost replies, and marks each duplicate', async () => {
    await start()
    const page = await open('/')
    await runWithFaults(page)
    const proof = await summaryOfRun(page)
    expect(await page.locator('#grid .cell[data-status=sent]').count()).toBe(500)
    expect(proof).toMatch(/^500 receipts are in the inbox\./)
    expect(proof).not.toContain('without a mark')
  })
})
