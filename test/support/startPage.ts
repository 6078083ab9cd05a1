import type { Page } from 'playwright-core'

/** Signs up on the start page, as a visitor does. */
export async function signUp(page: Page, name: string, email: string): Promise<void> {
  await page.getByLabel('Name').fill(name)
  await page.getByLabel('Email').fill(email)
  await page.getByRole('button', { name: 'Sign up' }).click()
}

/** Waits until the page says so of the sign-up's mail. */
export function verdict(page: Page, text: string): Promise<void> {
  return page.locator('#verdict', { hasText: text }).waitFor()
}

/** Keeps all that the page says from here on of a sign-up's mail, one after the other, however quickly it changes. */
export async function recordVerdicts(page: Page): Promise<() => Promise<string[]>> {
  await page.evaluate(`
    const said = document.querySelector('#verdict')
    window.verdicts = []
    new MutationObserver(() => verdicts.push(said.textContent)).observe(said, { childList: true })
  `)
  return () => page.evaluate<string[]>('verdicts')
}

/** Has 500 receipts sent, ends a thread meanwhile, and loses replies until some of them are in doubt. */
export async function troubledRun(page: Page): Promise<void> {
  await page.getByRole('button', { name: '500 receipts through threads' }).click()
  await page.locator('.cell[data-fate=sent]').first().waitFor()
  await page.getByRole('button', { name: 'Kill a thread' }).click()
  await page.getByText(/Thread \d+ was ended/).waitFor()
  await page.getByRole('button', { name: 'Drop the connection after the dot' }).click()
  await page.locator('.cell[data-uncertain]').first().waitFor()
}

/** Waits until the run is over, and gives what the page says became of its receipts. */
export async function proofOfRun(page: Page): Promise<string> {
  await page.locator('#run-title', { hasText: 'done' }).waitFor()
  return (await page.locator('#proof').textContent()) ?? ''
}
