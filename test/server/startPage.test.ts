import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'
import { faultsOf, PHONE, picture, stickingOut, UPDATING, widthOf } from '../support/browser.js'
import { sample, useSite } from '../support/site.js'
import {
  recordStatuses,
  runOnce,
  runWithFaults,
  signUp,
  summaryOfRun,
  waitForStatus,
} from '../support/startPage.js'
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
    expect(await page.getByRole('alert').textContent()).toBe(
      'Please enter a valid email address, such as ada@example.com.',
    )
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
    // A disturbed run is not compared with others.
    expect(await page.locator('#result-threads td').allTextContents()).toEqual(['–', '–', '–', '–'])
    expect(await page.locator('#disturbed').textContent()).toMatch(
      /^Run 1, through threads, is not compared, because replies were lost and a worker was killed: .* 0 failed\.$/,
    )
    const marked = await page.locator('#grid [data-uncertain]').count()
    const doubled = await page.locator('#grid [data-doubled]').count()
    expect(doubled).toBe(site.inbox.count - 500)
    expect(doubled).toBeGreaterThan(0)
    expect(doubled).toBeLessThanOrEqual(marked)
  })

  test('compares clean runs, shows the same delay on the dial, and keeps the results over a reload', async () => {
    const page = await site.open('/')
    await runOnce(page, '500 inline, compiled once')
    const cells = page.locator('#result-compiled td')
    await cells.first().filter({ hasText: ' s loading MJML' }).waitFor()
    const [time, delay, httpP99, failed] = await cells.allTextContents()
    expect([time, httpP99, failed]).toEqual([
      expect.stringMatching(/^\d+\.\d s\d+\.\d s loading MJML$/),
      expect.stringMatching(/^\S+ ms$/),
      '0',
    ])
    const max = /^(\S+ ms)\S+ ms while sending$/.exec(delay!)![1]!
    expect(await page.locator('#dial-run').textContent()).toBe(`Maximum of run 1: ${max}.`)
    await page.reload()
    await cells.nth(1).filter({ hasText: max }).waitFor()
    expect(await page.locator('#grid .cell[data-status=sent]').count()).toBe(500)
  })

  test('runs the same load inline, and refuses a second run at the same time', async () => {
    const page = await site.open('/')
    // So slow that the run goes on as long as the test looks at it.
    site.inbox.faults.set([{ at: 'dot', do: 'delay', ms: 1_000 }])
    await page.getByRole('button', { name: '500 inline, MJML' }).click()
    await page.locator('.cell[data-status=sent]').nth(5).waitFor()
    expect(await page.getByRole('button', { name: '500 inline, MJML' }).isDisabled()).toBe(true)
    expect(await number(page, 'sum')).toBe(500)
    expect(Number(await page.locator('#dial-number').textContent())).toBeGreaterThan(0)
    await page.getByRole('button', { name: 'Kill a worker' }).click()
    await page.getByText('uses no worker').waitFor()
    const again = await fetch(`${site.url}/demo/run`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"way":"threads"}',
    })
    expect(again.status).toBe(409)
  })

  test('says why messages are held', async () => {
    const page = await site.open('/')
    await site.mailer.pause()
    await signUp(page, 'Ada', 'ada@example.com')
    await waitForStatus(page, 'Held')
    expect(await page.locator('#outcome').textContent()).toMatch(/^Held because the queue is paused/)
    await page.getByRole('button', { name: '500 receipts through threads' }).click()
    await page.getByText('500 messages are held because sending is paused.').waitFor()
    await site.mailer.resume()
    await waitForStatus(page, 'Sent')
    await page.getByText('because messages were held').waitFor()
  })

  test('has no axe violation and fits every width, in light and dark, with a mail sent, an error, and results', async () => {
    const first = await site.open('/')
    await runWithFaults(first)
    await summaryOfRun(first)
    for (const width of [1280, 390, 320])
      for (const colorScheme of ['light', 'dark'] as const) {
        const page = await site.open('/', { viewport: { width, height: 760 }, colorScheme })
        await page.locator('#disturbed:not([hidden])').waitFor()
        await signUp(page, 'Ada', 'nobody')
        await page.getByRole('alert').waitFor()
        const where = `${width} px, ${colorScheme}`
        expect(await faultsOf(page), `${where}, with an error`).toEqual([])
        await signUp(page, 'Ada', `${'x'.repeat(60)}@example.com`)
        await waitForStatus(page, 'Sent')
        expect(await faultsOf(page), `${where}, with a mail sent`).toEqual([])
        expect(await widthOf(page), where).toBeLessThanOrEqual(width)
        expect(await stickingOut(page), where).toEqual([])
        await page.close()
      }
  })

  test('brings the outcome into view on a phone', async () => {
    const page = await site.open('/', { viewport: PHONE, reducedMotion: 'reduce' })
    const inView = async (id: string) => {
      const top = `document.querySelector('${id}').getBoundingClientRect().top`
      const visible = () => page.evaluate<boolean>(`${top} > -1 && ${top} < innerHeight / 2`)
      await expect.poll(visible, { timeout: 60_000 }).toBe(true)
    }
    await signUp(page, 'Ada', 'ada@example.com')
    await inView('#journey')
    await waitForStatus(page, 'Sent')
    await page.getByRole('button', { name: '500 receipts through threads' }).click()
    await inView('#show')
  })

  test('renders the bundled templates on a phone without broken words and stretched badges', async () => {
    for (const [template, locale] of [
      ['receipt'],
      ['reset-password'],
      ['welcome'],
      ['welcome', 'fr'],
    ] as const) {
      const { html } = await site.mailer.render(template, await sample(template), locale ? { locale } : {})
      const page = await site.open('/assets/base.css', { viewport: PHONE, bypassCSP: true })
      await page.setContent(html)
      expect(await widthOf(page)).toBeLessThanOrEqual(PHONE.width)
      // A heading of a column is one line high, and a badge is a circle.
      const { lines, badges } = await page.evaluate<{ lines: number[]; badges: [number, number][] }>(`(() => {
        const rows = (cell) => {
          const range = document.createRange()
          range.selectNodeContents(cell)
          return range.getClientRects().length
        }
        const size = (badge) => [badge.clientWidth, badge.clientHeight]
        return {
          lines: [...document.querySelectorAll('th')].map(rows),
          badges: [...document.querySelectorAll('.tile')].map(size),
        }
      })()`)
      expect(lines).toEqual(template === 'receipt' ? [1, 1, 1] : [])
      expect(badges).toEqual(
        template === 'welcome'
          ? [
              [28, 28],
              [28, 28],
              [28, 28],
            ]
          : [],
      )
      await page.close()
    }
  })

  // Makes the pictures of the README: `UPDATE_SCREENSHOTS=1 npm test -- test/server/startPage.test.ts`, on an idle machine.
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
      await runOnce(page, '500 receipts through threads')
      await runOnce(page, '500 inline, MJML for each mail')
      await runOnce(page, '500 inline, compiled once')
      await page.getByRole('button', { name: '500 receipts through threads' }).click()
      await page.locator('#grid [data-status=sent]').nth(80).waitFor()
      await page.getByRole('button', { name: 'Lose the server’s reply' }).click()
      await page.locator('.cell[data-uncertain]').nth(2).waitFor()
      await page.locator('#grid [data-status=sent]').nth(120).waitFor()
      await page.evaluate(scroll)
      await picture(page, 'load.png', 0)
      await done('Run 4, through threads')
      const phone = await site.open('/', { viewport: PHONE, colorScheme: 'dark', deviceScaleFactor: 2 })
      await phone.locator('#grid [data-status=sent]').nth(499).waitFor()
      await phone.evaluate(scroll)
      await picture(phone, 'phone.png')
    })
})
