import { expect, test } from 'vitest'
import { useBrowser } from '../support/browser.js'
import { startSite } from '../support/site.js'
import { describeWith } from '../support/tools.js'

const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)
const SVG = `<svg xmlns="http://www.w3.org/2000/svg" width="3" height="3"><style>rect{fill:red}</style><rect width="3" height="3"/><script>document.title='ran'</script></svg>`
const HTML = `<img id="one" src="cid:pixel@x"><img id="two" src="cid:drawing"><p id="three" style="background:url(cid:pixel@x)">Here</p>
  <img id="page" src="/inbox/assets/icon.svg?seen"><img src="cid:page">`
const ATTACHMENTS = [
  { cid: 'pixel@x', filename: 'pixel.png', content: PIXEL },
  { cid: 'drawing', filename: 'drawing.svg', content: SVG, contentType: 'image/svg+xml' },
  { cid: 'page', filename: 'page.html', content: '<script></script>', contentType: 'text/html' },
]
const width = (id: string) => `document.getElementById('${id}').naturalWidth`

describeWith(['chromium'], 'the images of a mail in a browser', (tools) => {
  const open = useBrowser(tools.chromium)

  test.each([undefined, 'a-long-random-secret'])(
    'are shown in the inbox and in the dashboard, with the token %s',
    async (token) => {
      const { mailer, url } = await startSite({ retain: { data: 'kept' } }, token)
      const { id } = await mailer.sendAndWait({
        to: 'ada@example.com',
        subject: 'Pictures',
        html: HTML,
        attachments: ATTACHMENTS,
      })
      const [received] = mailer.inbox!.stored()
      const cookies: unknown[] = []
      for (const place of [`/inbox/messages/${received!.id}`, `/mail/#/messages/${id}`]) {
        const page = await open(url + place)
        if (token !== undefined) {
          await page.getByLabel('Token').fill(token)
          await page.getByRole('button', { name: 'Log in' }).click()
          await page.waitForURL((address) => !address.pathname.endsWith('login'))
          await page.goto(url + place)
        }
        page.on('request', (request) => {
          if (request.url().includes('/images/'))
            cookies.push(request.allHeaders().then(({ cookie }) => cookie))
        })
        await page.reload()
        const element = page.locator('iframe')
        await element.waitFor()
        expect(await element.getAttribute('sandbox')).not.toContain('allow-same-origin')
        await page.frameLocator('iframe').getByText('Here').waitFor()
        const frame = page.frames().find((other) => other !== page.mainFrame())!
        await frame.waitForLoadState()
        expect(await frame.evaluate('origin')).toBe('null')
        expect(await frame.evaluate(width('one')), place).toBe(1)
        expect(await frame.evaluate(width('two')), place).toBe(3)
        const background = await frame.evaluate<string>(
          "getComputedStyle(document.getElementById('three')).backgroundImage",
        )
        const address = await frame.evaluate<string>("document.getElementById('one').src")
        expect(background).toBe(`url("${address}")`)
        // The address is the permission, for this image alone.
        const image = await fetch(address)
        expect(image.status).toBe(200)
        if (token !== undefined) {
          const others = [
            address.replace(/images\/0/, 'images/1'),
            address.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')),
          ]
          for (const other of others) expect((await fetch(other)).status).toBe(401)
        }
        expect(await page.title()).not.toBe('ran')
      }
      expect(await Promise.all(cookies)).toEqual(Array(4).fill(undefined))
    },
  )

  test('an image with many references is loaded once, and long HTML is cut with a note', async () => {
    const { mailer, url } = await startSite({ retain: { data: 'kept' } })
    const { id } = await mailer.sendAndWait({
      to: 'ada@example.com',
      subject: 'Tiles',
      html: `<p>Here</p>${'<img src="cid:pixel@x">'.repeat(1_000)}<!-- ${'x'.repeat(1_100_000)} -->`,
      attachments: [{ cid: 'pixel@x', filename: 'pixel.png', content: PIXEL }],
    })
    const [received] = mailer.inbox!.stored()
    for (const place of [`/inbox/messages/${received!.id}`, `/mail/#/messages/${id}`]) {
      const page = await open(`${url}/mail/`)
      const images = new Set<string>()
      page.on('request', (request) => {
        if (request.url().includes('/images/')) images.add(request.url())
      })
      await page.goto(url + place)
      await page
        .getByText('Only the first 1024 KB of the HTML are shown. Download the raw mail to see the rest.')
        .waitFor()
      await page.frameLocator('iframe').getByText('Here').waitFor()
      await expect.poll(() => images.size).toBe(1)
    }
  })
})
