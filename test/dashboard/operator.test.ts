import { expect, test } from 'vitest'
import { api } from '../support/api.js'
import { useBrowser } from '../support/browser.js'
import { sample, startDashboard } from '../support/site.js'
import { describeWith } from '../support/tools.js'
import { SECRET, WebhookReceiver } from '../support/webhookReceiver.js'

describeWith(['chromium'], 'the dashboard’s pages for operators', (tools) => {
  const open = useBrowser(tools.chromium)
  const mail = { to: 'ada@example.com', subject: 'Hi', text: 'x' }

  test('pauses and resumes one transport, and records who did it', async () => {
    const { mailer, url } = await startDashboard()
    const page = await open(`${url}#/transports/default`)
    await page.getByRole('button', { name: 'Pause transport' }).click()
    await page.getByText('Paused: its messages are held').waitFor()
    const { id } = await mailer.send(mail)
    await expect.poll(async () => (await mailer.find(id))?.status).toBe('held')
    await page.goto(`${url}#/messages/${id}`)
    await page.getByText('the transport "default" is paused').waitFor()
    await page.goto(url)
    await page.getByRole('heading', { level: 1, name: 'A transport is paused' }).waitFor()
    await page.getByRole('button', { name: 'Resume transport' }).click()
    expect((await mailer.wait(id)).status).toBe('sent')
    await page.goto(`${url}#/audit`)
    await page.getByText('resumed the transport').waitFor()
    await page.getByText('paused the transport').waitFor()
  })

  test('changes the limits of a transport while it is used', async () => {
    const { mailer, url } = await startDashboard()
    const page = await open(`${url}#/transports/default`)
    await page.getByLabel('Messages per second').fill('7')
    await page.getByLabel('Connections at a time').fill('2')
    await page.getByRole('button', { name: 'Change limits' }).click()
    await page.getByText('at most 7 messages per second').waitFor()
    expect((await mailer.stats()).transports).toMatchObject([{ rate: 7, concurrency: 2 }])
    expect((await mailer.sendAndWait(mail)).status).toBe('sent')
    await mailer.changeTransport('default', { rate: null, concurrency: null })
    expect((await mailer.stats()).transports).toEqual([{ transport: 'default', breaker: 'closed' }])
    await expect(mailer.changeTransport('default', { rate: -1 })).rejects.toMatchObject({ path: 'rate' })
    await expect(mailer.pause({ transport: 'other' })).rejects.toMatchObject({ path: 'transport' })
  })

  test('shows how much of a quota and of a warm-up is used, and when the next messages are due', async () => {
    const transport = { url: 'inbox:', quota: { perHour: 2 }, warmUp: { from: 50, to: 500, days: 10 } }
    const { mailer, url } = await startDashboard({ transport })
    await mailer.sendMany([mail, mail, mail])
    await expect.poll(async () => (await mailer.stats()).held).toBe(1)
    const page = await open(`${url}#/transports/default`)
    await page.locator('.figures', { hasText: 'Messages this hour2 of 2' }).waitFor()
    await page.locator('.figures', { hasText: 'Warm-upDay 1' }).waitFor()
    await page.getByText('The quota is used up. The next messages are due at').waitFor()
  })

  test('shows what each template and transport sent, and how long that took', async () => {
    const { mailer, url } = await startDashboard()
    await mailer.sendAndWait({ template: 'welcome', data: await sample('welcome'), to: mail.to })
    const page = await open(`${url}#/templates`)
    await page.getByRole('link', { name: 'welcome' }).click()
    await page.getByRole('heading', { level: 1, name: 'welcome' }).waitFor()
    await page.locator('.figures', { hasText: 'Sent1' }).waitFor()
    await page.goto(`${url}#/transports`)
    await page.getByRole('row', { name: /default 1 0/ }).waitFor()
  })

  test('shows the webhooks with their failures, and sends failed events again', async () => {
    let status = 410
    const receiver = await WebhookReceiver.start((_event, response) => response.writeHead(status).end())
    const webhooks = [{ url: receiver.url, secret: SECRET }]
    const { mailer, url } = await startDashboard({ webhooks })
    const { id } = await mailer.sendAndWait(mail)
    const page = await open(url)
    await page.getByRole('link', { name: 'Webhooks' }).click()
    await page.getByRole('heading', { level: 2, name: receiver.url }).waitFor()
    await page.getByText('Disabled: the receiver answered 410').waitFor()
    await page.getByRole('link', { name: 'message.sent' }).waitFor()
    status = 200
    await page.getByRole('button', { name: 'Send again' }).click()
    await page.getByText('1 event will be sent again.').waitFor()
    await expect.poll(() => receiver.typesOf(id), { timeout: 60_000 }).toEqual(['message.sent'])
    expect(await page.content()).not.toContain('whsec_')
  })

  test('shows a reader no button that the reader may not press, and keeps a deep link through the login', async () => {
    const tokens = [
      { token: 'reader-token-1234', scopes: ['read'] as const },
      { token: 'manager-token-123', name: 'Grace', scopes: ['read', 'manage'] as const },
    ]
    const { mailer, base } = await api({ auth: { tokens } })
    const url = `${base}/`
    const { id } = await mailer.sendAndWait(mail)
    const page = await open(`${url}#/messages/${id}`)
    await page.getByLabel('Token').fill('reader-token-1234')
    await page.getByRole('button', { name: 'Log in' }).click()
    await page.locator('.explained').waitFor()
    expect(page.url()).toContain(id)
    expect(await page.getByRole('button').allTextContents()).not.toContain('Send again')
    await page.goto(url)
    await page.locator('.transports li').waitFor()
    for (const name of ['Pause sending', 'Test connection', 'Pause transport'])
      expect(await page.getByRole('button', { name }).count(), name).toBe(0)
    await page.goto(`${url}#/messages`)
    await page.getByLabel('Select all on this page').check()
    expect(await page.getByRole('button', { name: /Send again/ }).count()).toBe(0)

    const response = await fetch(`${url}dashboard/pause`, {
      method: 'POST',
      headers: { authorization: 'Bearer manager-token-123', 'content-type': 'application/json' },
      body: JSON.stringify({ transport: 'default' }),
    })
    expect(response.status).toBe(204)
    expect(await mailer.monitoring.auditLog()).toMatchObject([
      { by: 'Grace', action: 'paused the transport', target: 'default' },
    ])
  })

  test('lists suppressed addresses, and finds, adds, and removes them', async () => {
    const { mailer, url } = await startDashboard()
    await mailer.suppressions.add({ address: 'bob@example.com', reason: 'bounce', detail: '550 5.1.1 gone' })
    await mailer.suppressions.add({ address: 'eve@example.com', reason: 'unsubscribe', stream: 'news' })
    await mailer.suppressions.add({ address: 'eve@example.com', reason: 'complaint' })
    const page = await open(`${url}#/suppressions`)
    const rows = page.locator('tbody tr')
    await page.getByRole('row', { name: /bob@example.com Bounced every stream .* 550 5.1.1 gone/ }).waitFor()
    expect(await rows.count()).toBe(3)

    await page.getByText('Add an address').click()
    await page.getByRole('textbox', { name: 'Address' }).fill('Ada@Example.com')
    await page.getByRole('button', { name: 'Add', exact: true }).click()
    await page.getByText('Added ada@example.com.').waitFor()
    expect(await mailer.suppressions.has('ada@example.com')).toBe(true)
    await page.getByRole('textbox', { name: 'Address' }).fill('nobody')
    await page.getByRole('button', { name: 'Add', exact: true }).click()
    await page.getByRole('alert').waitFor()

    await page.getByLabel('Search').fill('eve')
    await expect.poll(() => rows.count()).toBe(2)
    expect(page.url()).toContain('q=eve')
    await page.getByRole('button', { name: 'Remove eve@example.com (news)' }).click()
    await page.getByText('Mail to this address is sent again, unless another entry covers it').waitFor()
    await page.getByRole('button', { name: 'Go back' }).click()
    await page.getByRole('button', { name: 'Remove eve@example.com (news)' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click()
    await page.getByText('Removed eve@example.com.').waitFor()
    await expect.poll(() => rows.count()).toBe(1)
    expect((await mailer.suppressions.list({ q: 'eve' })).suppressions).toMatchObject([
      { reason: 'complaint' },
    ])
    await page.getByLabel('Search').fill('nowhere')
    await page.getByText('No entry matches.').waitFor()
  })

  test('erases an address, after a question', async () => {
    const { mailer, url } = await startDashboard()
    const { id } = await mailer.sendAndWait(mail)
    await mailer.suppressions.add({ address: mail.to, reason: 'manual' })
    const page = await open(`${url}#/suppressions`)
    await page.getByText('Erase an address').click()
    await page.getByRole('textbox', { name: 'Address' }).fill(mail.to)
    await page.getByLabel('Remove it from the suppressions').check()
    await page.getByRole('button', { name: 'Erase' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Go back' }).click()
    expect((await mailer.find(id))?.to).toEqual([{ address: mail.to }])
    await page.getByRole('button', { name: 'Erase' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Erase' }).click()
    await page.getByText('Erased from 1 message.').waitFor()
    expect((await mailer.find(id))?.to).toEqual([{ address: 'erased@invalid' }])
    expect(await mailer.suppressions.has(mail.to)).toBe(false)
  })

  test('shows the list of suppressed addresses to those who may see it', async () => {
    const tokens = [{ token: 'reader-token-1234', scopes: ['read'] as const }]
    const page = async (redact: boolean) => {
      const { mailer, base } = await api({ auth: { tokens } }, { redact: { recipients: redact } })
      await mailer.suppressions.add({ address: 'bob@example.com', reason: 'manual' })
      const page = await open(`${base}/#/suppressions`)
      await page.getByLabel('Token').fill('reader-token-1234')
      await page.getByRole('button', { name: 'Log in' }).click()
      return page
    }
    const reader = await page(false)
    await reader.getByRole('row', { name: /bob@example.com/ }).waitFor()
    for (const name of [/Add/, /Remove/]) expect(await reader.getByRole('button', { name }).count()).toBe(0)
    const refused = await page(true)
    await refused.getByText('This list requires the scope “manage”').waitFor()
    expect(await refused.locator('main').textContent()).not.toContain('bob@example.com')
  })

  test('shows bounces and complaints by transport, template, and recipient domain', async () => {
    const { mailer, url } = await startDashboard()
    const page = await open(url)
    await page.getByText('No server accepted a recipient in the last 24 hours').waitFor()
    const { id } = await mailer.sendAndWait({
      template: 'welcome',
      data: await sample('welcome'),
      to: ['ada@one.example', 'bob@one.example', 'eve@TWO.example'],
    })
    await mailer.report({ id, recipient: 'bob@one.example', state: 'bounced' })
    await mailer.report({ id, recipient: 'eve@two.example', state: 'complained' })
    await page.reload()
    await page.getByRole('row', { name: /default 3 1 \(33.3%\) 1 \(33.3%\)/ }).waitFor()
    await page.getByRole('button', { name: 'Template' }).click()
    await page.getByRole('row', { name: /welcome 3 1 \(33.3%\) 1 \(33.3%\)/ }).waitFor()
    await page.getByRole('button', { name: 'Recipient domain' }).click()
    await page.getByRole('row', { name: /one.example 2 1 \(50.0%\) 0/ }).waitFor()
    await page.getByRole('row', { name: /two.example 1 0 1 \(100.0%\)/ }).waitFor()
    await page.goto(`${url}#/messages/${id}`)
    await page.getByText(/bounced .* source: /).waitFor()
  })

  test('lists schedules with their times and last message, and removes one after a question', async () => {
    const { mailer, url } = await startDashboard()
    const page = await open(`${url}#/schedules`)
    await page.getByText('Nothing is scheduled.').waitFor()
    await mailer.schedule('tick', { cron: '* * * * * *', mail: { ...mail, subject: 'Tick' } })
    await mailer.schedule('yearly', { cron: '0 0 1 1 *', timeZone: 'Europe/Berlin', mail })
    await page.getByRole('link', { name: 'Message of tick' }).click()
    await page.getByRole('heading', { level: 1, name: 'Tick' }).waitFor()
    await page.goto(`${url}#/schedules`)
    await page.getByRole('row', { name: /yearly Hi 0 0 1 1 \* Europe\/Berlin .* –/ }).waitFor()
    await page.getByRole('button', { name: 'Remove tick' }).click()
    await page.getByText('An application that schedules it at each start adds it again').waitFor()
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click()
    await page.getByText('Removed tick.').waitFor()
    await expect.poll(() => page.locator('tbody tr').count()).toBe(1)
    expect((await mailer.schedules()).map(({ name }) => name)).toEqual(['yearly'])
  })

  test('answers a browser with a page where nothing is', async () => {
    const { url } = await startDashboard()
    const page = await open(`${url}nothing/here`)
    await page.getByRole('heading', { name: 'Page not found' }).waitFor()
    await page.getByRole('link', { name: 'Go to the start' }).click()
    await page.getByRole('heading', { name: 'No mail yet' }).waitFor()
    const problem = await fetch(`${url}nothing/here`, { headers: { accept: 'application/json' } })
    expect(problem.headers.get('content-type')).toContain('application/problem+json')
  })
})
