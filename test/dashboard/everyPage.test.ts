import { fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { faultsOf, picture, stickingOut, UPDATING, useBrowser, widthOf } from '../support/browser.js'
import { startElsewhere } from '../support/elsewhere.js'
import { folderOf } from '../support/folder.js'
import { rowsAre } from '../support/messagePages.js'
import { sample, startDashboard } from '../support/site.js'
import { describeWith } from '../support/tools.js'

const INBOX = path.resolve(import.meta.dirname, '../support/inboxProcess.mjs')
const WELCOME = `<mjml><mj-head><mj-title>Hello {{name}}</mj-title></mj-head>
  <mj-body><mj-section><mj-column><mj-text>Hello {{name}}</mj-text></mj-column></mj-section></mj-body></mjml>`

describeWith(['chromium'], 'every page of the dashboard in a browser', (tools) => {
  const open = useBrowser(tools.chromium)

  test('shows hostile strings as text on every page', async () => {
    const elsewhere = await startElsewhere()
    const evil = elsewhere.url
    const attack = `"><img src="${evil}" onerror="document.title='ran'"><script>document.title='ran'</script>`
    const named = `<img src=x onerror=document.title='ran'>`

    const folder = await folderOf({})
    await writeFile(path.join(folder, `${named}.mjml`), WELCOME)
    await writeFile(path.join(folder, `${named}.json`), JSON.stringify({ name: attack }))
    const { mailer, url } = await startDashboard({ templates: folder })
    mailer.inbox!.faults.set([{ at: 'rcpt', do: 'refuse', reply: `550 ${attack.slice(0, 200)}` }])
    const message = await mailer.sendAndWait({
      to: { name: attack.slice(0, 90), address: 'bob@example.com' },
      subject: attack,
      tags: [named],
      metadata: { [named]: attack },
      html: `<head><meta http-equiv="refresh" content="0;url=${evil}"></head>${attack}<iframe src="${evil}"></iframe><p>Here</p>`,
      text: attack,
      attachments: [{ filename: `${named}.html`, content: attack }],
    })
    await mailer.sendAndWait({ template: named, data: { name: attack }, to: 'eve@example.com' })

    for (const place of [
      '',
      '#/messages',
      `#/messages/${message.id}`,
      `preview#/${encodeURIComponent(named)}`,
    ]) {
      const page = await open(url + place)
      await page.getByRole('heading', { level: 1 }).waitFor()
      if (place.includes(message.id) || place.startsWith('preview')) {
        const frame = page.frameLocator('iframe')
        await frame
          .getByText(place.startsWith('preview') ? 'Hello' : 'Here')
          .first()
          .waitFor()
        await page.getByRole('tab', { name: 'Text' }).click()
        await page.locator('.plain', { hasText: 'onerror' }).waitFor()
      }
      if (place === '#/messages') await rowsAre(page, 2)
      expect(await page.title()).not.toBe('ran')
      expect(await page.evaluate('document.scripts.length'), place).toBe(1)
      expect(await page.locator('#app img, #app script').count(), place).toBe(0)
      if (place === `#/messages/${message.id}`)
        expect(await page.locator('main').textContent()).toContain(attack)
    }
    expect(elsewhere.connections).toBe(0)
  })

  test('has no accessibility violation and no horizontal scroll at any width, in light or dark mode', async () => {
    const { mailer, url } = await startDashboard({ retain: { data: 'kept' } })
    const data = await sample('receipt')
    const { id } = await mailer.sendAndWait({
      template: 'receipt',
      data,
      to: 'ada@example.com',
      tags: ['billing'],
    })
    mailer.inbox!.faults.set([{ at: 'rcpt', do: 'refuse', reply: '550 5.1.1 No such user' }])
    await mailer.sendAndWait({ template: 'receipt', data, to: `${'x'.repeat(60)}@example.com` })
    await mailer.pause()
    await mailer.schedule('weekly-report', {
      cron: '0 8 * * 1',
      timeZone: 'America/Argentina/Buenos_Aires',
      mail: { to: 'ada@example.com', subject: 'The week', text: 'x' },
    })
    await mailer.suppressions.add({
      address: `${'x'.repeat(60)}@example.com`,
      reason: 'bounce',
      stream: 'newsletter',
      detail: '550 5.1.1 No such user',
    })
    for (const colorScheme of ['light', 'dark'] as const)
      for (const width of [1280, 390, 320]) {
        const page = await open(url, { colorScheme, viewport: { width, height: 800 } })
        for (const [place, ready] of [
          ['', '.reasons'],
          ['#/messages', '.messages'],
          [`#/messages/${id}`, 'iframe'],
          ['#/templates', '.groups'],
          ['#/templates/receipt', '.figures'],
          ['#/transports', '.groups'],
          ['#/transports/default', '.limits'],
          ['#/schedules', '.groups'],
          ['#/suppressions', '.groups'],
          ['#/audit', '.groups'],
          ['#/nowhere', 'h1'],
          ['preview#/receipt', 'iframe'],
        ] as const) {
          await page.goto(url + place)
          await page.locator(ready).first().waitFor()
          expect(await widthOf(page), `${place} at ${width}`).toBeLessThanOrEqual(width)
          expect(await stickingOut(page), `${place} at ${width}`).toEqual([])
          expect(await faultsOf(page), `${place} at ${width}`).toEqual([])
        }
      }
  }, 240_000)

  if (UPDATING)
    test('takes the screenshots for the README', async () => {
      const faults = [
        { at: 'rcpt', do: 'refuse', reply: '550 5.1.1 No such user', probability: 0.02 },
        { at: 'dot', do: 'defer', probability: 0.02 },
        { at: 'dot', do: 'delay', ms: 60 },
      ]
      const server = fork(INBOX, [JSON.stringify(faults)])
      onTestFinished(() => void server.kill())
      const [transport] = (await once(server, 'message')) as [string]
      const { mailer, url } = await startDashboard({ transport, threads: 2, retry: { baseDelay: 2_000 } })
      const templates = await Promise.all(
        ['receipt', 'reset-password', 'welcome'].map(async (name) => ({
          template: name,
          data: await sample(name),
        })),
      )
      let count = 0
      const timer = setInterval(() => {
        for (let n = 0; n < 12 + 6 * Math.sin(count / 400); n++) {
          const names = ['ada', 'grace', 'alan', 'edsger', 'barbara', 'donald', 'radia', 'margaret']
          void mailer.send({ ...templates[count % 3]!, to: `${names[count++ % 8]!}@example.com` })
        }
      }, 100)
      onTestFinished(() => clearInterval(timer))
      const screen = { viewport: { width: 1240, height: 840 }, deviceScaleFactor: 2 }
      await setTimeout(10_000)
      const page = await open(url, screen)
      await page.waitForTimeout(40_000)
      await picture(page, 'dashboard.png')
      clearInterval(timer)
      const preview = await open(`${url}preview#/receipt`, screen)
      await preview.frameLocator('iframe').getByText('Total paid').first().waitFor()
      await picture(preview, 'preview.png')
    })
})
