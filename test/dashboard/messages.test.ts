import { readFile } from 'node:fs/promises'
import { expect, onTestFinished, test } from 'vitest'
import { useBrowser } from '../support/browser.js'
import { badge, rowsAre } from '../support/messagePages.js'
import { startRedis } from '../support/redis.js'
import { sample, startDashboard } from '../support/site.js'
import { describeWith, itWith } from '../support/tools.js'

describeWith(['chromium'], 'the dashboard’s message pages in a browser', (tools) => {
  const open = useBrowser(tools.chromium)

  test('shows the content of a message with redacted recipients only on request', async () => {
    const { mailer, url } = await startDashboard({ retain: { data: 'kept' }, redact: { recipients: true } })
    const { id } = await mailer.sendAndWait({ to: 'ada@example.com', subject: 'Hi', text: 'Hello Ada' })
    const page = await open(`${url}#messages/${id}`)
    await page.getByText('Recipients are redacted on this page').waitFor()
    expect(await page.content()).not.toContain('ada@example.com')
    await page.getByRole('button', { name: 'Show content' }).click()
    await page.getByRole('tab', { name: 'Headers' }).click()
    await page.getByText('ada@example.com').waitFor()
  })

  itWith(
    ['redis-server'],
    'searches on Redis too, and says before that it has no index',
    async (programs) => {
      const redis = await startRedis(programs['redis-server'])
      onTestFinished(() => redis.close())
      const { mailer, url } = await startDashboard({ queue: redis.url })
      const { id } = await mailer.sendAndWait({ to: 'ada@example.com', subject: 'Hi', text: 'Hello Ada' })
      await mailer.sendAndWait({ to: 'bob@example.com', subject: 'Ho', text: 'x' })
      const page = await open(`${url}#messages`)
      await rowsAre(page, 2)
      await page.getByText('This queue has no search index').waitFor()
      for (const part of ['ada@', id.slice(-8)]) {
        await page.getByLabel('Search').fill(part)
        await rowsAre(page, 1)
      }
      await page.getByLabel('Search').fill('')
      await rowsAre(page, 2)
    },
  )

  test('selects all that match, says how many it changes, and asks once', async () => {
    const { mailer, url } = await startDashboard()
    mailer.inbox!.faults.set([{ at: 'rcpt', do: 'refuse' }])
    await Promise.all(
      Array.from({ length: 61 }, (_, n) =>
        mailer.sendAndWait({ to: `a${n}@example.com`, subject: 'Hi', text: 'x' }),
      ),
    )
    mailer.inbox!.faults.clear()
    const page = await open(`${url}#/messages?status=failed`)
    await rowsAre(page, 50)
    await page.getByText('61 match.').waitFor()
    await page.getByLabel('Select all on this page').check()
    await page.getByRole('button', { name: 'Retry 50' }).waitFor()
    await page.getByRole('button', { name: 'Select all 61 that match' }).click()
    await page.getByRole('button', { name: 'Retry 61' }).click()
    await page.getByRole('dialog').getByRole('heading', { name: 'Retry 61 messages?' }).waitFor()
    await page.getByRole('dialog').getByRole('button', { name: 'Retry 61 messages' }).click()
    await page.getByText('Requeued 61 messages.').waitFor()
    await expect.poll(async () => (await mailer.stats()).sent).toBe(61)
  })

  test('keeps selection, scroll position and focus when the user goes back', async () => {
    const { mailer, url } = await startDashboard()
    for (let n = 0; n < 40; n++)
      await mailer.sendAndWait({ to: `a${n}@example.com`, subject: 'Hi', text: 'x' })
    const page = await open(`${url}#/messages`, { viewport: { width: 1280, height: 600 } })
    await rowsAre(page, 40)
    await page.getByRole('checkbox', { name: 'Select the message to a7@example.com' }).check()
    const link = page.getByRole('link', { name: 'a3@example.com', exact: true })
    await link.scrollIntoViewIfNeeded()
    const scroll = () => page.evaluate<number>('scrollY')
    await expect.poll(scroll).toBeGreaterThan(100)
    const before = await scroll()
    await link.click()
    await badge(page, 'sent')
    await page.getByRole('link', { name: 'Next' }).waitFor()
    await page.goBack()
    await rowsAre(page, 40)
    await expect.poll(scroll).toBe(before)
    await expect
      .poll(() => link.evaluate((element) => element === element.ownerDocument.activeElement))
      .toBe(true)
    expect(
      await page.getByRole('checkbox', { name: 'Select the message to a7@example.com' }).isChecked(),
    ).toBe(true)
  })

  test('sends a settled message again, also with changes, as a new message that names the old one', async () => {
    const { mailer, url } = await startDashboard({ retain: { data: 'kept' } })
    const data = await sample('welcome')
    const { id } = await mailer.sendAndWait({ template: 'welcome', data, to: 'ada@example.com' })
    const page = await open(`${url}#/messages/${id}`)
    await page.getByRole('button', { name: 'Edit and send again' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('To').fill('grace@example.com')
    await dialog.getByLabel('Data').fill(JSON.stringify({ ...data, name: 'Grace' }))
    await dialog.getByRole('button', { name: 'Send', exact: true }).click()
    await page.getByRole('link', { name: id }).waitFor()
    const [newest] = (await mailer.list()).messages
    expect(newest).toMatchObject({ resendOf: id, to: [{ address: 'grace@example.com' }] })
    expect(newest?.id).not.toBe(id)
    const settled = await mailer.wait(newest!.id)
    expect(settled.subject).toContain('Grace')
  })

  test('writes all times with their seconds, in the zone of the browser', async () => {
    const { mailer, url } = await startDashboard()
    const { id, settledAt = '' } = await mailer.sendAndWait({ to: 'a@example.com', subject: 'Hi', text: 'x' })
    const [locale, timeZone] = ['de-DE', 'Asia/Tokyo']
    const page = await open(`${url}#/messages/${id}`, { locale, timezoneId: timeZone })
    const times = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium', timeZone })
    const settled = times.format(new Date(settledAt))
    await page.locator('.explained').getByText(`Accepted by the next mail server at ${settled}.`).waitFor()
    await page.locator('.facts div', { hasText: 'Settled' }).getByText(settled).waitFor()
  })

  test('exports what matches as CSV and NDJSON', async () => {
    const { mailer, url } = await startDashboard()
    await mailer.sendAndWait({ to: 'ada@example.com', subject: '=1+1, "quoted"', text: 'x', tags: ['a'] })
    await mailer.sendAndWait({ to: 'bob@example.com', subject: 'Other', text: 'x' })
    const csv = await (await fetch(`${url}dashboard/export.csv?tag=a`)).text()
    const [head, row, end] = csv.split('\r\n')
    expect(head).toMatch(/^id,status,accepted_at,settled_at,to,subject,/)
    // A spreadsheet must not run it.
    expect(row).toContain(`"'=1+1, ""quoted"""`)
    expect(end).toBe('')
    const lines = (await (await fetch(`${url}dashboard/export.ndjson`)).text()).trim().split('\n')
    expect(lines.map((line) => (JSON.parse(line) as { subject: string }).subject)).toEqual([
      'Other',
      '=1+1, "quoted"',
    ])
  })

  test('lets a user find a message, cancel it, and retry failed messages', async () => {
    const { mailer, url } = await startDashboard({ retain: { data: 'kept' } })
    const faults = mailer.inbox!.faults
    faults.set([{ at: 'rcpt', do: 'refuse', reply: '550 5.1.1 No such user' }])
    for (const name of ['ada', 'grace', 'alan'])
      await mailer.sendAndWait({
        template: 'reset-password',
        data: await sample('reset-password'),
        to: `${name}@example.com`,
        tags: ['account'],
      })
    const { id } = await mailer.send({
      to: 'later@example.com',
      subject: 'Later',
      text: 'x',
      delay: 3_600_000,
    })

    const page = await open(`${url}#/messages`)
    await rowsAre(page, 4)
    await page.keyboard.press('/')
    await page.keyboard.type('later@')
    await rowsAre(page, 1)
    await page.keyboard.press('Tab')
    await page.evaluate('document.activeElement.blur()')
    await page.keyboard.press('j')
    await page.keyboard.press('Enter')
    await badge(page, 'queued')
    await page.getByRole('button', { name: 'Cancel' }).click()
    await badge(page, 'cancelled')
    expect((await mailer.find(id))?.status).toBe('cancelled')

    await page.goto(`${url}#/messages?tag=account`)
    await rowsAre(page, 3)
    await page.getByLabel('Status').selectOption('failed')
    await page.waitForURL(/status=failed/)
    await rowsAre(page, 3)
    await page.getByText('550 5.1.1 No such user').first().waitFor()
    faults.set([])
    await page.getByRole('checkbox', { name: 'Select the message to ada@example.com' }).check()
    await page.getByRole('button', { name: 'Retry 1' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('button', { name: 'Retry 1 message' }).click()
    await page.getByText('Requeued 1 message.').waitFor()
    await rowsAre(page, 2)
    await page.getByLabel('Select all on this page').check()
    await page.getByRole('button', { name: 'Retry 2' }).click()
    await dialog.getByRole('button', { name: 'Retry 2 messages' }).click()
    await page.getByText('Requeued 2 messages.').waitFor()
    await page.getByText('No messages match').waitFor()
    await expect.poll(async () => (await mailer.stats()).sent).toBe(3)

    await page.goto(`${url}#/messages?q=grace`)
    await page.getByRole('link', { name: 'grace@example.com' }).click()
    await badge(page, 'sent')
    expect(await page.locator('.timeline > li').count()).toBe(3)
    await page.frameLocator('iframe').getByText('Reset').first().waitFor()
    await page.getByRole('tab', { name: 'Headers' }).click()
    await page.getByText('Message-ID', { exact: true }).last().waitFor()
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'Download .eml' }).click(),
    ])
    expect(await readFile(await download.path(), 'utf8')).toMatch(/^To: grace@example\.com\r$/m)
  })

  test('leads to the previous and next message of the list, also beyond its page and without one', async () => {
    const { mailer, url } = await startDashboard()
    const receipts = await mailer.sendMany(
      Array.from({ length: 120 }, (_, n) => ({
        to: `a${n}@example.com`,
        subject: `No. ${n}`,
        text: 'x',
        tags: [n % 2 === 0 ? 'even' : 'odd'],
      })),
    )
    const ids = receipts.map((receipt) => ('id' in receipt ? receipt.id : ''))
    const order: string[] = []
    for await (const { id } of mailer.messages()) order.push(id)
    expect([...order].sort()).toEqual([...ids].sort())

    const page = await open(`${url}#/messages/${order[60]!}`)
    await page.getByRole('link', { name: 'Previous' }).click()
    await page.waitForURL(`**${order[59]!}`)
    await page.getByRole('link', { name: 'Next' }).click()
    await page.waitForURL(`**${order[60]!}`)
    // The last of the first page, and the newest of all.
    await page.goto(`${url}#/messages`)
    await page.locator(`[data-id="${order[49]!}"]`).click()
    await page.getByRole('link', { name: 'Next' }).click()
    await page.waitForURL(`**${order[50]!}`)
    await page.getByRole('heading', { level: 1, name: /No/ }).waitFor()
    await page.goto(`${url}#/messages/${order[0]!}`)
    await page.getByRole('link', { name: 'Next' }).waitFor()
    expect(await page.getByRole('link', { name: 'Previous' }).count()).toBe(0)

    // Within a search, only what matches.
    await page.goto(`${url}#/messages?tag=even`)
    const even: string[] = []
    for await (const { id } of mailer.messages({ tag: 'even' })) even.push(id)
    await page.locator(`[data-id="${even[49]!}"]`).click()
    await page.getByRole('link', { name: 'Next' }).click()
    await page.waitForURL(`**${even[50]!}`)
  })

  test('shows the log line of each attempt, as the logger got it', async () => {
    const lines: object[] = []
    const log = (fields: object) => void lines.push(fields)
    const logger = { debug: log, info: log, warn: log, error: log }
    const { mailer, url } = await startDashboard({ logger })
    mailer.inbox!.faults.set([{ at: 'rcpt', do: 'refuse', reply: '550 5.1.1 No such user' }])
    const { id } = await mailer.sendAndWait({ to: 'ada@example.com', subject: 'Hi', text: 'x' })
    const page = await open(`${url}#/messages/${id}`)
    await page.getByText('Log line').click()
    const shown = JSON.parse((await page.locator('.log-line code').textContent()) ?? '') as object
    const written = lines.find((line) => 'step' in line && line.step === 'attempt')
    const { status: _, ...known } = { status: '', ...written }
    expect(shown).toMatchObject({ ...known, ms: expect.any(Number) })
    expect(shown).toMatchObject({ level: 'warn', attempt: 1, reply: 550 })
  })
})
