import { expect, test } from 'vitest'
import { type OpenPage, useBrowser } from '../support/browser.js'
import { testInbox } from '../support/mailer.js'
import { usePostgres } from '../support/postgres.js'
import { useRedis } from '../support/redis.js'
import { startDashboard } from '../support/site.js'
import { describeWith } from '../support/tools.js'
import { startWorker } from '../support/worker.js'

const MAILS = 40
const REFUSED = 5

describeWith(['chromium', 'redis-server'], 'the dashboard of a fleet on Redis', (tools) => {
  const redis = useRedis(tools['redis-server'])
  testFleetDashboard(useBrowser(tools.chromium), () => redis.url)
})

describeWith(['chromium', 'postgres'], 'the dashboard of a fleet on Postgres', (tools) => {
  const postgres = usePostgres(tools.postgres)
  testFleetDashboard(useBrowser(tools.chromium), () => postgres.url)
})

function testFleetDashboard(open: OpenPage, queueOf: () => string): void {
  test('shows in a sender both workers, their rate, and failures by reason, and that a killed worker is gone', async () => {
    const queue = queueOf()
    const inbox = await testInbox()
    const flags = ['--queue', queue, '--transport', inbox.url]
    const [killed, alive] = await Promise.all([startWorker(flags), startWorker(flags)])
    const { mailer, url } = await startDashboard({ role: 'send', transport: undefined as never, queue })
    inbox.faults.set([{ at: 'rcpt', do: 'refuse', times: REFUSED, reply: '550 5.1.1 No such user' }])
    await Promise.all(
      Array.from({ length: MAILS }, (_, n) =>
        mailer.sendAndWait({ to: `a${n}@example.com`, subject: 'Hi', text: 'x' }),
      ),
    )
    const page = await open(url)
    const processOf = (pid: number | undefined) => page.locator('tr.process', { hasText: `· ${pid}` })
    for (const { process } of [killed, alive])
      await processOf(process.pid)
        .filter({ hasText: /delivers, \d+ threads?, threadpost \d/ })
        .waitFor()
    await processOf(process.pid).filter({ hasText: 'accepts only, no threads' }).waitFor()
    await page.getByText('3 processes.').waitFor()
    await page.getByRole('row', { name: `Rejected by the server failed ${REFUSED}` }).waitFor()
    await page.locator('.count.sent strong', { hasText: String(MAILS - REFUSED) }).waitFor()
    await page.locator('.count.failed strong', { hasText: String(REFUSED) }).waitFor()
    await page.getByRole('heading', { name: 'Some mail is failing' }).waitFor()
    await page.locator('.transports').getByText('Healthy').waitFor()
    // The periods of the charts have all the messages that the workers settled.
    const history = await mailer.monitoring.history()
    expect(history.reduce((sum, { settled, seconds }) => sum + settled * seconds, 0)).toBeCloseTo(MAILS)

    killed.process.kill('SIGKILL')
    await processOf(killed.process.pid)
      .filter({ hasText: /gone: last sign of life \d+ s ago/ })
      .waitFor()
    await processOf(alive.process.pid)
      .filter({ hasText: /last sign of life [\d.]+ s ago/ })
      .waitFor()
    await page.getByText('2 processes, 1 gone in the last hour.').waitFor()
  })
}
