import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { useBrowser } from '../support/browser.js'
import { folderOf } from '../support/folder.js'
import { badge } from '../support/messagePages.js'
import { startDashboard } from '../support/site.js'
import { describeWith } from '../support/tools.js'

const WELCOME = `<mjml><mj-head><mj-title>Hello {{name}}</mj-title></mj-head>
  <mj-body><mj-section><mj-column><mj-text>Hello {{name}}</mj-text></mj-column></mj-section></mj-body></mjml>`

describeWith(['chromium'], 'the template previews in a browser', (tools) => {
  const open = useBrowser(tools.chromium)

  test('updates a preview when the data or the file changes, and shows errors', async () => {
    const folder = await folderOf({})
    const file = path.join(folder, 'welcome.mjml')
    await writeFile(file, WELCOME)
    await writeFile(path.join(folder, 'welcome.fr.mjml'), WELCOME.replaceAll('Hello', 'Bonjour'))
    await writeFile(path.join(folder, 'welcome.json'), '{ "name": "Ada" }')
    await writeFile(
      path.join(folder, 'wide.mjml'),
      `<mjml><mj-body><mj-section><mj-column width="{{width}}%"><mj-text>Hi</mj-text></mj-column></mj-section></mj-body></mjml>`,
    )
    const { mailer, url } = await startDashboard({ templates: folder })
    const page = await open(`${url}preview#/welcome`)
    const frame = page.frameLocator('iframe')
    const subject = (text: string) => page.locator('.subject', { hasText: text }).waitFor()
    await subject('Hello Ada')
    await frame.getByText('Hello Ada').waitFor()
    await page.getByText('Compiled once').waitFor()

    const data = page.getByRole('textbox', { name: 'Data' })
    await data.fill('{\n  "name": "Bob",\n}')
    await page.getByText(/^Line [23]: /).waitFor()
    await data.fill('{}')
    await page.locator('.problem code', { hasText: 'name' }).waitFor()
    await data.fill('{ "name": "Bob" }')
    await frame.getByText('Hello Bob').waitFor()
    await page.getByLabel('Locale').selectOption('fr')
    await subject('Bonjour Bob')
    await page.getByLabel('Locale').selectOption('')
    await subject('Hello Bob')

    await writeFile(file, WELCOME.replaceAll('Hello', 'Good day'))
    await subject('Good day Bob')
    await writeFile(file, WELCOME.replace('<mj-text>', `<mj-text>${'lorem ipsum '.repeat(10_000)}`))
    await page.getByText('Gmail clips this message').waitFor()
    await writeFile(file, WELCOME.replace('</mj-body>', '{{/if}}</mj-body>'))
    await page.locator('.problem', { hasText: 'welcome.mjml' }).first().waitFor()
    await writeFile(file, WELCOME)
    await subject('Hello Bob')

    await page.getByLabel('To').fill('bob@example.com')
    await page.getByRole('button', { name: 'Send', exact: true }).click()
    await page.getByRole('link', { name: 'view message' }).click()
    await badge(page, 'sent')
    expect((await mailer.inbox!.messages())[0]?.subject).toBe('Hello Bob')
    await page.getByText('were deleted when it was settled').waitFor()
    await page.goto(`${url}preview#/wide`)
    await page.getByText('Compiled for each message').waitFor()
  })
})
