import { test, expect } from 'vitest'
import { useBrowser } from '../support/browser.js'
import { startDashboard } from '../support/site.js'
import { describeWith } from '../support/tools.js'

describeWith(['chromium'], 'the dashboard’s overview in a browser', (tools) => {
  const open = useBrowser(tools.chromium)

  test('shows live counts, pauses and resumes sending, and tests a transport', async () => {
    const { mailer, url } = await startDashboard()
    const page = await open(url)
    await page.getByRole('heading', { level: 1, name: 'No mail yet' }).waitFor()
    await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        mailer.sendAndWait({ to: `a${n}@example.com`, subject: 'Hi', text: 'x' }),
      ),
    )
    await page.locator('.count.sent strong', { hasText: '20' }).waitFor()
    await page.locator('.chart', { hasText: 'Success' }).locator('.chart-now').getByText('100%').waitFor()
    expect(await page.locator('.chart-line').count()).toBeGreaterThan(0)
    expect(await page.locator('.threads tr.thread').count()).toBe(1)

    await page.getByRole('button', { name: 'Test connection' }).click()
    await page.getByText(/Connected: .* responded in/).waitFor()
    await page.getByRole('button', { name: 'Pause sending' }).click()
    await page.getByRole('heading', { name: 'Sending is paused' }).waitFor()
    expect((await mailer.stats()).paused).toBe(true)
    await mailer.send({ to: 'late@example.com', subject: 'Hi', text: 'x' })
    await page.getByText('1 message waiting').waitFor()
    await page.getByRole('button', { name: 'Resume sending' }).click()
    await page.locator('.count.sent strong', { hasText: '21' }).waitFor()
  })

  test('lets a user log in with a token, pause sending, and log out', async () => {
    const { mailer, url } = await startDashboard({}, 'a-long-random-secret')
    const page = await open(`${url}preview`)
    await page.getByLabel('Token').fill('a-long-random-secret')
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

  test('reports failing mail in the headline while every message fails', async () => {
    const { mailer, url } = await startDashboard()
    mailer.inbox!.faults.set([{ at: 'rcpt', do: 'refuse' }])
    await Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        mailer.sendAndWait({ to: `a${n}@example.com`, subject: 'Hi', text: 'x' }),
      ),
    )
    const page = await open(url)
    await page.locator('.count.failed strong', { hasText: '40' }).waitFor()
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Mail is failing')
  })

  test('shows on every page that safe mode is on', async () => {
    const { url } = await startDashboard({ safeMode: { redirectTo: 'staging@acme.example' } })
    const page = await open(url)
    for (const place of ['Overview', 'Messages', 'Previews']) {
      await page.getByRole('link', { name: place }).first().click()
      await page.getByText('Safe mode is on. Only allowed recipients receive mail').waitFor()
    }
  })
})
