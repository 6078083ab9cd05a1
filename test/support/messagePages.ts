import type { Page } from 'playwright-core'
import { expect } from 'vitest'

/** The machine may have other things to do. */
/** Waits until a message's page shows this status. */
export function badge(page: Page, status: string): Promise<void> {
  return page.locator('.explained .badge', { hasText: status }).waitFor()
}

/** Waits until the list shows so many messages. */
export function rowsAre(page: Page, count: number): Promise<void> {
  return expect.poll(() => page.locator('.messages tbody tr').count()).toBe(count)
}
