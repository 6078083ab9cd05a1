import { expect, test } from 'vitest'
import { PHONE, seriousFaults, widthOf } from '../support/browser.js'
import { startElsewhere } from '../support/elsewhere.js'
import { useSite } from '../support/site.js'
import { describeWith } from '../support/tools.js'

describeWith(['chromium'], 'the inbox in a browser', (tools) => {
  const site = useSite(tools.chromium)

  test('updates, searches, and shortens the list of messages', async () => {
    const page = await site.open('/inbox/')
    await page.getByText('No mail yet').waitFor()
    await site.mailer.sendAndWait({ to: 'bob@example.com', subject: 'First', text: 'one' })
    await page.getByText('First').waitFor()
    await page.getByText('First').click()
    await page.locator('pre', { hasText: 'one' }).waitFor()
    await site.mailer.sendAndWait({
      to: 'bob@example.com',
      subject: 'Second',
      text: 'two, at https://example.com/two',
      attachments: [{ filename: 'plan.pdf', content: '%PDF' }],
    })
    await page.getByText('Second').waitFor()
    await page.keyboard.press('k')
    await page.locator('pre', { hasText: 'two' }).waitFor()
    await page.getByRole('link', { name: 'Links 1' }).click()
    expect(await page.locator('.links a').getAttribute('href')).toBe('https://example.com/two')
    const download = page.waitForEvent('download')
    await page.getByRole('link', { name: 'plan.pdf' }).click()
    expect((await download).suggestedFilename()).toBe('plan.pdf')

    await page.keyboard.press('/')
    await page.keyboard.type('has:attachment')
    await page.keyboard.press('Enter')
    await page.getByText('1 of 2 matches').waitFor()
    expect(await page.locator('.row-subject').allTextContents()).toEqual(['Second'])
    await site.mailer.sendAndWait({ to: 'bob@example.com', subject: 'Third', text: 'three' })
    await page.getByText('1 of 3 matches').waitFor()
    await page.locator('.row').click()
    await page.getByRole('button', { name: 'Delete' }).click()
    await page.getByText('0 of 2 match').waitFor()
    await page.getByRole('link', { name: 'Show all' }).click()
    expect(await page.locator('.row-subject').allTextContents()).toEqual(['Third', 'First'])
    await page.getByRole('button', { name: 'Clear' }).click()
    await page.getByText('No mail yet').waitFor()
    expect(site.inbox.stored()).toEqual([])
  })

  test('lets a user add a fault, watch the retry, and stop the fault', async () => {
    const page = await site.open('/inbox/', { viewport: { width: 1240, height: 760 }, deviceScaleFactor: 2 })
    await page.getByRole('button', { name: 'Simulate faults' }).click()
    await page.getByLabel('What to simulate').selectOption('Defer the message (451)')
    await page.getByLabel('Recipients').fill('*@example.com')
    await page.getByLabel('Times').fill('1')
    expect(await page.getByLabel('Delay').isDisabled()).toBe(true)
    expect(await seriousFaults(page)).toEqual([])
    await page.getByRole('dialog').getByRole('button', { name: 'Add fault' }).click()
    await page.getByText('On end of data: 451').waitFor()
    expect(site.inbox.faults.list()).toEqual([{ at: 'dot', do: 'defer', to: '*@example.com', times: 1 }])

    const deferred = new Promise((resolve) => site.mailer.once('deferred', resolve))
    const { id } = await site.mailer.send({ to: 'ada@example.com', subject: 'Hello', text: 'Hello' })
    await deferred
    // The fault is used up, so the banner disappears.
    await page.locator('#faults').waitFor({ state: 'hidden' })
    expect((await site.mailer.wait(id)).attempts.map(({ outcome }) => outcome)).toEqual(['deferred', 'sent'])
    await page.getByText('Hello').first().waitFor()

    site.inbox.faults.set([
      { at: 'rcpt', do: 'defer', to: '*@slow.example', probability: 0.3 },
      { at: 'dot', do: 'close-after' },
    ])
    await page.getByText('2 faults are active.').waitFor()
    expect(await seriousFaults(page)).toEqual([])
    await page.getByRole('button', { name: 'Stop this fault' }).first().click()
    await page.getByText('1 fault is active.').waitFor()
    await page.getByRole('button', { name: 'Stop this fault' }).click()
    await page.locator('#faults').waitFor({ state: 'hidden' })
    expect(site.inbox.faults.list()).toEqual([])
  })

  test('runs no script of a hostile message and loads nothing', async () => {
    const elsewhere = await startElsewhere()
    const evil = elsewhere.url

    const script = `parent.postMessage('ran','*');fetch('${evil}/fetch')`
    const attack = `"><script>${script}</script><img src="${evil}/img" onerror="${script}">`
    site.inbox.faults.set([
      { at: 'dot', do: 'delay', ms: 1 },
      { at: 'rcpt', do: 'defer', to: attack, reply: `450 ${attack}` },
    ])
    const { id } = await site.mailer.send({
      to: { name: attack.slice(0, 90), address: 'bob@example.com' },
      subject: attack,
      text: `</pre>${attack}`,
      html: `<head><base href="${evil}/"><meta http-equiv="refresh" content="0;url=${evil}/refresh">
        <link rel="preconnect" href="${evil}"><link rel="stylesheet" href="${evil}/css">
        <style>@import '${evil}/import'; body { background: url(${evil}/background) } @font-face { font-family: x; src: url(${evil}/font) }</style></head>
        <body style="font-family: x">${attack}<svg onload="${script}"></svg><iframe src="${evil}/frame"></iframe>
        <object data="${evil}/object"></object><video src="${evil}/video" poster="${evil}/poster" autoplay></video>
        <form action="${evil}/form"><button>Submit</button></form>
        <a id="js" href="javascript:${script}">script</a> <a id="self" target="_self" href="${evil}/self">self</a></body>`,
      attachments: [{ filename: `${attack.replaceAll('/', '').slice(0, 100)}.html`, content: attack }],
    })
    await site.mailer.wait(id)

    const page = await site.open(`/inbox/?q=${encodeURIComponent('script')}`)
    const listen = () =>
      page.evaluate(
        "addEventListener('message', () => { document.title = 'ran' }); window.alert = () => { document.title = 'ran' }",
      )
    await listen()
    await page.locator('.row').click()
    const frame = page.frameLocator('iframe')
    await frame.locator('#js').waitFor()
    await listen()
    await page.waitForTimeout(500)
    // There is not even a connection before the user follows a link.
    expect(elsewhere.connections).toBe(0)
    await frame.locator('#js').click()
    for (const view of ['Text', 'Headers', 'Raw', /^Links/]) {
      await page.getByRole('link', { name: view, exact: true }).click()
      await listen()
      await page.waitForTimeout(100)
      expect(await page.title()).not.toBe('ran')
    }
    expect(await page.locator('.links a[href^=javascript]').count()).toBe(0)
    await page.getByRole('searchbox').fill(attack)
    await page.keyboard.press('Enter')
    await page.getByText(/of 1 match/).waitFor()
    await page.waitForTimeout(200)
    expect(await page.title()).not.toBe('ran')
    expect(elsewhere.hits).toEqual([])
    expect(await page.evaluate('document.scripts.length')).toBe(1)
  })

  test.each(['light', 'dark'] as const)(
    'fits a phone and has no serious accessibility violation in %s mode',
    async (colorScheme) => {
      await site.sendSample('receipt')
      await site.mailer.sendAndWait({
        to: `${'x'.repeat(60)}@example.com`,
        subject: 'y'.repeat(300),
        text: `${'z'.repeat(500)} https://example.com/${'w'.repeat(300)}`,
        attachments: [{ filename: `${'f'.repeat(120)}.txt`, content: 'x' }],
      })
      site.inbox.faults.set([{ at: 'rcpt', do: 'refuse', to: `${'v'.repeat(60)}@example.com` }])
      const ids = site.inbox.stored().map(({ id }) => id)
      const views = ['html', 'text', 'links', 'headers', 'raw']
      const page = await site.open('/inbox/', { viewport: PHONE, colorScheme, deviceScaleFactor: 2 })
      for (const place of [
        '',
        '?q=nothing',
        ...ids.flatMap((id) => views.map((view) => `messages/${id}?view=${view}`)),
      ]) {
        await page.goto(`${site.url}/inbox/${place}`)
        expect(await widthOf(page), place).toBeLessThanOrEqual(PHONE.width)
        if (!/text|headers|raw/.test(place) && !place.includes(ids[1]!))
          expect(await seriousFaults(page), place).toEqual([])
      }
    },
  )
})
