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
    'shows a hint, not an error, for a search that the queue does not support',
    async (programs) => {
      const redis = await startRedis(programs['redis-server'])
      onTestFinished(() => redis.close())
      const { mailer, url } = await startDashboard({ queue: redis.url })
      await mailer.sendAndWait({ to: 'ada@example.com', subject: 'Hi', text: 'Hello Ada' })
      const page = await open(`${url}#messages`)
      await rowsAre(page, 1)
      await page.getByLabel('Search').fill('hello')
      await page.getByText('With the Redis queue, search finds only complete message IDs').waitFor()
      expect(await page.getByRole('alert').count()).toBe(0)
      await rowsAre(page, 0)
      await page.getByLabel('Search').fill('')
      await rowsAre(page, 1)
    },
  )

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
    await page.getByRole('button', { name: 'Retry', exact: true }).click()
    await page.getByText('Requeued 1 message.').waitFor()
    await page.getByRole('button', { name: 'Retry all matching' }).click()
    const dialog = page.getByRole('dialog')
    expect(await dialog.textContent()).toContain('account')
    await dialog.getByRole('button', { name: 'Retry all' }).click()
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
})
