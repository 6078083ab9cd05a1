import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'
import { PHONE, picture, seriousFaults, UPDATING, widthOf } from '../support/browser.js'
import { useSite } from '../support/site.js'
import { recordStatuses, runWithFaults, signUp, summaryOfRun, waitForStatus } from '../support/startPage.js'
import { describeWith } from '../support/tools.js'

const SCREEN = { viewport: { width: 1240, height: 800 }, deviceScaleFactor: 2 }

describeWith(['chromium'], 'the start page in a browser', (tools) => {
  const site = useSite(tools.chromium)

  const number = async (page: Page, id: string) => Number(await page.locator(`#n-${id}`).textContent())

  test('shows how a thread sends the mail of a sign-up, and links to it in the inbox', async () => {
    for (const template of ['receipt', 'reset-password', 'welcome']) await site.sendSample(template)
    const page = await site.open('/', SCREEN)
    await signUp(page, 'Ada Lovelace', 'ada@example.com')
    await waitForStatus(page, 'Sent')
    expect(await page.locator('#step-rendered .lane').textContent()).toMatch(/^thread \d+$/)
    expect(await page.locator('#step-delivered .note').textContent()).toMatch(/^250 /)
    for (const step of ['accepted', 'rendered', 'composed', 'delivered', 'settled'])
      expect(await page.locator(`#step-${step}`).getAttribute('data-state')).toBe('done')

    await page.getByRole('link', { name: 'Read it in the inbox' }).click()
    await page.getByRole('heading', { level: 2, name: /Welcome.*Ada Lovelace/ }).waitFor()
    await page
      .frameLocator('iframe')
      .getByRole('heading', { name: /Welcome.*Ada Lovelace/ })
      .waitFor()
    expect(await page.locator('.row').count()).toBe(4)

    await page.getByRole('link', { name: 'Headers' }).click()
    await page.getByText(site.inbox.stored().at(-1)!.envelope.to[0]!).first().waitFor()
    expect(await page.locator('.headers').textContent()).toContain('Message-ID')
    await page.getByRole('link', { name: 'threadpost', exact: true }).click()
    await page.getByRole('button', { name: 'Sign up' }).waitFor()
  })

  test('shows a refusal and a retry as they happen', async () => {
    const page = await site.open('/')
    site.inbox.faults.set([{ at: 'rcpt', do: 'refuse', reply: '550 5.1.1 No such user' }])
    await signUp(page, 'Ada', 'ada@example.com')
    await waitForStatus(page, 'Failed')
    expect(await page.locator('#step-delivered .note').textContent()).toBe('550 5.1.1 No such user')

    site.inbox.faults.set([{ at: 'dot', do: 'defer', times: 1 }])
    const statuses = await recordStatuses(page)
    await signUp(page, 'Ada', 'ada@example.com')
    await waitForStatus(page, 'Sent')
    // The first attempt may be over before the page follows the message.
    expect((await statuses()).slice(-3)).toEqual(['Will be retried', 'Sending', 'Sent'])

    await signUp(page, 'Ada', 'nobody')
    expect(await page.getByRole('alert').textContent()).toMatch(/\w/)
    expect(await page.getByLabel('Email').getAttribute('aria-invalid')).toBe('true')
  })

  test('loses none of 500 receipts despite faults, and marks each duplicate', async () => {
    const page = await site.open('/', SCREEN)
    await runWithFaults(page)
    expect(await number(page, 'sum')).toBe(500)
    const proof = await summaryOfRun(page)

    expect([await number(page, 'sent'), await number(page, 'failed')]).toEqual([500, 0])
    expect(await page.locator('#grid .cell[data-status=sent]').count()).toBe(500)
    expect(proof).toMatch(/^500 receipts are in the inbox\. \d+ repl(y was|ies were) lost/)
    expect(proof).not.toContain('without a mark')
    expect(await page.locator('#result-threads td').allTextContents()).toEqual([
      expect.stringMatching(/^\d+\.\d s$/),
      expect.stringMatching(/ ms$/),
      '0',
    ])
    const marked = await page.locator('#grid [data-uncertain]').count()
    const doubled = await page.locator('#grid [data-doubled]').count()
    expect(doubled).toBe(site.inbox.count - 500)
    expect(doubled).toBeGreaterThan(0)
    expect(doubled).toBeLessThanOrEqual(marked)
  })

  test('runs the same load inline, and refuses a second run at the same time', async () => {
    const page = await site.open('/')
    // So slow that the run goes on as long as the test looks at it.
    site.inbox.faults.set([{ at: 'dot', do: 'delay', ms: 1_000 }])
    await page.getByRole('button', { name: '500 inline' }).click()
    await page.locator('.cell[data-status=sent]').nth(5).waitFor()
    expect(await page.getByRole('button', { name: '500 inline' }).isDisabled()).toBe(true)
    expect(await number(page, 'sum')).toBe(500)
    expect(Number(await page.locator('#dial-number').textContent())).toBeGreaterThan(0)
    const again = await fetch(`${site.url}/demo/run`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"way":"threads"}',
    })
    expect(again.status).toBe(409)
  })

  test.each(['light', 'dark'] as const)(
    'fits a phone without serious accessibility faults, in %s mode',
    async (colorScheme) => {
      const page = await site.open('/', { viewport: PHONE, colorScheme, deviceScaleFactor: 2 })
      await signUp(page, 'Ada', 'nobody')
      await page.getByRole('alert').waitFor()
      expect(await seriousFaults(page)).toEqual([])
      await signUp(page, 'Ada', `${'x'.repeat(60)}@example.com`)
      await waitForStatus(page, 'Sent')
      expect(await seriousFaults(page)).toEqual([])
      expect(await widthOf(page)).toBeLessThanOrEqual(PHONE.width)
    },
  )

  // Makes the pictures of the README: `UPDATE_SCREENSHOTS=1 npm test -- test/startPage.test.ts`, on an idle machine.
  if (UPDATING)
    test('makes the pictures of the documentation', async () => {
      for (const template of ['reset-password', 'welcome']) await site.sendSample(template)
      const page = await site.open('/', SCREEN)
      await signUp(page, 'Ada Lovelace', 'ada@example.com')
      await waitForStatus(page, 'Sent')
      await picture(page, 'start.png')
      await site.sendSample('receipt')
      await page.goto(`${site.url}/inbox/messages/${site.inbox.stored().at(-1)!.id}`)
      site.inbox.faults.set([
        { at: 'rcpt', do: 'defer', to: '*@slow.example', probability: 0.3 },
        { at: 'dot', do: 'close-after', times: 3 },
      ])
      await page.getByText('2 faults are active.').waitFor()
      await picture(page, 'inbox.png')
      site.inbox.faults.clear()

      await page.goto(site.url)
      const done = (run: string) => page.getByText(`${run}: done`).waitFor()
      const scroll = "document.querySelector('#demo').scrollIntoView({ block: 'center' })"
      await page.getByRole('button', { name: '500 inline' }).click()
      await done('Run 1, inline')
      await page.getByRole('button', { name: '500 receipts through threads' }).click()
      await done('Run 2, through threads')
      await page.getByRole('button', { name: '500 receipts through threads' }).click()
      await page.getByRole('button', { name: 'Lose the server’s reply' }).click()
      await page.locator('.cell[data-uncertain]').nth(2).waitFor()
      await page.locator('#grid [data-status=sent]').nth(120).waitFor()
      await page.evaluate(scroll)
      await picture(page, 'load.png', 0)
      await done('Run 3, through threads')
      const phone = await site.open('/', { viewport: PHONE, colorScheme: 'dark', deviceScaleFactor: 2 })
      await phone.locator('#grid [data-status=sent]').nth(499).waitFor()
      await phone.evaluate(scroll)
      await picture(phone, 'phone.png')
    })
})
