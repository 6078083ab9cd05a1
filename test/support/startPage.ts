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

/**
 * Presses "Kill a worker", which starts a run, and loses replies in the same run. Sending is paused until both are pressed: the run
 * may be faster than the browser.
 */
export async function runWithFaults(page: Page): Promise<void> {
  await operate(page, 'pause')
  await page.getByRole('button', { name: 'Kill a worker' }).click()
  await page.getByText('A run was started').waitFor()
  await page.getByRole('button', { name: 'Lose the server’s reply' }).click()
  await page.getByText('closes the connection instead of replying').waitFor()
  await operate(page, 'resume')
  await page.getByText(/Worker \d+ was killed/).waitFor()
  await page.locator('.cell[data-uncertain]').first().waitFor()
}

async function operate(page: Page, action: 'pause' | 'resume'): Promise<void> {
  const response = await fetch(new URL(`/mail/dashboard/${action}`, page.url()), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{}',
  })
  if (!response.ok) throw new Error(`${action}: ${response.status} ${await response.text()}`)
}

/** Presses the button of a run, and waits until the run is done. */
export async function runOnce(page: Page, button: string): Promise<void> {
  const before = (await page.locator('#run-title').textContent()) ?? ''
  await page.getByRole('button', { name: button }).click()
  const done = page.locator('#run-title', { hasText: 'done' })
  await done.filter({ hasNotText: before }).waitFor()
}

/** Waits until the run is done, and returns the page's summary of its receipts. */
export async function summaryOfRun(page: Page): Promise<string> {
  await page.locator('#run-title', { hasText: 'done' }).waitFor()
  return (await page.locator('#proof').textContent()) ?? ''
}
