import type { Page } from 'playwright-core'

/** Signs up on the start page, as a visitor does. */
export async function signUp(page: Page, name: string, email: string): Promise<void> {
  await page.getByLabel('Name').fill(name)
  await page.getByLabel('Email').fill(email)
  await page.getByRole('button', { name: 'Sign up' }).click()
}

/** Waits until the page shows this status of the sign-up's mail. */
export function waitForStatus(page: Page, text: string): Promise<void> {
  return page.locator('#status', { hasText: text }).waitFor()
}

/** Records every status that the page shows from now on for the sign-up's mail, however quickly it changes. */
export async function recordStatuses(page: Page): Promise<() => Promise<string[]>> {
  await page.evaluate(`
    const status = document.querySelector('#status')
    window.statuses = []
    new MutationObserver(() => statuses.push(status.textContent)).observe(status, { childList: true })
  `)
  return () => page.evaluate<string[]>('statuses')
}

/** Sends 500 receipts, kills a thread in the meantime, and loses replies until some messages are uncertain. */
export async function runWithFaults(page: Page): Promise<void> {
  await page.getByRole('button', { name: '500 receipts through threads' }).click()
  await page.locator('.cell[data-status=sent]').first().waitFor()
  await page.getByRole('button', { name: 'Kill a thread' }).click()
  await page.getByText(/Thread \d+ was ended/).waitFor()
  await page.getByRole('button', { name: 'Lose the server’s reply' }).click()
  await page.locator('.cell[data-uncertain]').first().waitFor()
}

/** Waits until the run is done, and returns the page's summary of its receipts. */
export async function summaryOfRun(page: Page): Promise<string> {
  await page.locator('#run-title', { hasText: 'done' }).waitFor()
  return (await page.locator('#proof').textContent()) ?? ''
}
