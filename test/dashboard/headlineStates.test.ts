import { rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Mailer, MailerOptions } from 'threadpost'
import { onTestFinished, test, vi } from 'vitest'
import type { Title } from '../../src/dashboard/app/headline.js'
import { page as template } from '../support/brokenThreads.js'
import { useBrowser } from '../support/browser.js'
import { folderOf } from '../support/folder.js'
import { freePort } from '../support/ports.js'
import { startDashboard } from '../support/site.js'
import { describeWith } from '../support/tools.js'
import { SECRET, WebhookReceiver } from '../support/webhookReceiver.js'

const MINUTE = 60_000
const MAIL = { to: 'ada@example.com', subject: 'Hi', text: 'x' }
const NO_PROBES = { probeDelay: 60 * MINUTE, maxProbeDelay: 60 * MINUTE }
const LATE_RETRY = { baseDelay: 60 * MINUTE, jitter: 'none' } as const
/** Milliseconds between two evaluations of the alert rules. */
const interval = 10

interface Running {
  mailer: Mailer
  url: string
}

function start(options: Partial<MailerOptions> = {}): Promise<Running> {
  return startDashboard({ threads: 0, ...options })
}

/** Sends a message and waits until it has this status. */
async function sendUntil(
  { mailer }: Running,
  status: 'sending' | 'deferred' | 'held' | 'failed',
  fields: object = {},
): Promise<void> {
  const reached = new Promise((resolve) => mailer.once(status, resolve))
  await mailer.send({ ...MAIL, ...fields })
  await reached
}

/** A mailer that has sent a message. */
async function working(options: Partial<MailerOptions> = {}): Promise<Running> {
  const running = await start(options)
  await running.mailer.sendAndWait(MAIL)
  return running
}

/** A mailer whose server refuses each message. */
async function failing(options: Partial<MailerOptions> = {}): Promise<Running> {
  const running = await start(options)
  running.mailer.inbox!.faults.set([{ at: 'rcpt', do: 'refuse' }])
  await sendUntil(running, 'failed')
  return running
}

/** A mailer whose server asks for another attempt later. */
async function deferring(options: Partial<MailerOptions> = {}): Promise<Running> {
  const running = await start({ retry: LATE_RETRY, ...options })
  running.mailer.inbox!.faults.set([{ at: 'rcpt', do: 'defer', times: 1 }])
  await sendUntil(running, 'deferred')
  return running
}

/** A mailer whose server has taken a message and doesn't reply, so that the next one waits. */
async function stuck(options: Partial<MailerOptions> = {}): Promise<Running> {
  const running = await start({ concurrency: 1, ...options })
  running.mailer.inbox!.faults.set([{ at: 'dot', do: 'silence' }])
  await sendUntil(running, 'sending')
  await running.mailer.send(MAIL)
  return running
}

async function closedServer(): Promise<string> {
  return `smtp://127.0.0.1:${await freePort()}`
}

/** Lets the clocks of this process, and so of the mailer, show a later time. */
function jump(ms: number): void {
  for (const clock of [Date, performance]) {
    const now = clock.now.bind(clock)
    const spy = vi.spyOn(clock, 'now').mockImplementation(() => now() + ms)
    onTestFinished(() => spy.mockRestore())
  }
}

/** Every headline, and the ways in which a mailer comes to it. The compiler finds one that has none. */
const STATES: Record<Title, Record<string, () => Promise<Running>>> = {
  'No mail yet': { 'nothing was accepted': start },
  'All mail sent': { 'everything was sent': working },
  Idle: {
    'mail failed more than five minutes ago': async () => {
      const running = await failing()
      await running.mailer.monitoring.activity()
      jump(6 * MINUTE)
      return running
    },
    'nothing was ever sent, because it was cancelled': async () => {
      const running = await start()
      const { id } = await running.mailer.send({ ...MAIL, delay: 60 * MINUTE })
      await running.mailer.cancel(id)
      return running
    },
  },
  'Mail is going out': {
    'a message is being sent': async () => {
      const running = await start()
      running.mailer.inbox!.faults.set([{ at: 'dot', do: 'silence' }])
      await sendUntil(running, 'sending')
      return running
    },
  },
  'Mail is scheduled': {
    'a message waits for its date': async () => {
      const running = await working()
      await running.mailer.send({ ...MAIL, delay: 60 * MINUTE })
      return running
    },
  },
  'Mail is waiting': {
    'a message has been due for a minute, and nothing was sent': async () => {
      // In a thread, so that the time limit of the connection goes by another clock.
      const running = await stuck({ threads: 1 })
      jump(2 * MINUTE)
      return running
    },
    'an alert reports the oldest message': () => stuck({ alerts: { oldest: { age: 1 }, interval } }),
  },
  'Some mail is held': {
    'the reply to a message was lost': async () => {
      const running = await start({ onUncertain: 'hold' })
      running.mailer.inbox!.faults.set([{ at: 'dot', do: 'close-after', times: 1 }])
      await sendUntil(running, 'held')
      return running
    },
  },
  'Some mail is deferred': {
    'one message was deferred, and another one was sent': async () => {
      const running = await deferring()
      await running.mailer.sendAndWait(MAIL)
      return running
    },
  },
  'Mail is being deferred': {
    'the only message was deferred': deferring,
    'a message is tried again and again': async () => {
      const running = await start({ retry: { attempts: 100_000, baseDelay: 1, jitter: 'none' } })
      running.mailer.inbox!.faults.set([{ at: 'rcpt', do: 'defer' }])
      await sendUntil(running, 'deferred')
      return running
    },
  },
  'Some mail is failing': {
    'one message failed, and another one was sent': async () => {
      const running = await failing()
      running.mailer.inbox!.faults.clear()
      await running.mailer.sendAndWait(MAIL)
      return running
    },
  },
  'Mail is failing': {
    'every message failed': failing,
    'a message failed that the queue doesn’t keep': () => failing({ retain: { count: 0 } }),
    'an alert reports the failures': async () => {
      const alerts = { failures: { least: 2, share: 0.5 }, interval }
      const running = await failing({ alerts })
      running.mailer.inbox!.faults.clear()
      await running.mailer.sendAndWait(MAIL)
      return running
    },
  },
  'A transport is down': {
    'one of two servers can’t be reached': async () => {
      const transports = { main: 'inbox:', other: await closedServer() }
      const running = await start({ transport: undefined as never, transports, breaker: NO_PROBES })
      await sendUntil(running, 'held', { transport: 'other' })
      return running
    },
  },
  'A transport is paused': {
    'an operator paused it': async () => {
      const running = await working()
      await running.mailer.pause({ transport: 'default' })
      return running
    },
  },
  'Sending is paused': {
    'an operator paused it, and an alert reports the oldest message': async () => {
      const running = await working({ alerts: { oldest: { age: 1 }, interval } })
      await running.mailer.pause()
      const raised = new Promise((resolve) => running.mailer.once('alert', resolve))
      await running.mailer.send(MAIL)
      await raised
      return running
    },
  },
  'An alert is raised': {
    'a webhook is disabled': async () => {
      const receiver = await WebhookReceiver.start((_event, response) => response.writeHead(410).end())
      return working({ webhooks: [{ url: receiver.url, secret: SECRET }], alerts: { interval } })
    },
  },
  'The queue is nearly full': {
    'an alert reports it': async () => {
      const running = await start({ limits: { queue: 4 }, alerts: { interval } })
      await running.mailer.pause()
      for (let n = 0; n < 4; n++) await running.mailer.send(MAIL)
      return running
    },
  },
  'Worker threads are dying': {
    'an alert reports their deaths': async () => {
      const templates = await folderOf({
        'fatal.mjml': template('{{die 1}}'),
        'helpers.js': 'export function die() { process.exit(1) }',
      })
      const running = await working({ threads: 1, templates, alerts: { threads: { deaths: 1 }, interval } })
      await sendUntil(running, 'failed', { template: 'fatal', subject: undefined, text: undefined })
      return running
    },
  },
  'Mail is not going out': {
    'its server can’t be reached': async () => {
      const running = await start({ transport: await closedServer(), breaker: NO_PROBES })
      await sendUntil(running, 'held')
      return running
    },
    'no worker thread stays up': async () => {
      const folder = await folderOf({ broken: 'no' })
      const setup = path.join(folder, 'setup.mjs')
      await writeFile(setup, failingSetup(path.join(folder, 'broken')))
      const running = await working({ threads: 1, templates: { dir: await folderOf({}), setup } })
      await rm(path.join(folder, 'broken'))
      const held = new Promise<true>((resolve) => running.mailer.once('held', () => resolve(true)))
      const sent = () => running.mailer.sendAndWait(MAIL).then(() => false)
      // The thread that still lives may deliver the first ones.
      for (let over = false; !over;) over = await Promise.race([held, sent()])
      return running
    },
  },
  'No worker is running': {
    'the only process accepts mail and delivers none': async () => {
      const queue = `sqlite:${path.join(await folderOf({}), 'outbox.db')}`
      const running = await start({ role: 'send', transport: undefined as never, queue })
      await running.mailer.send(MAIL)
      return running
    },
  },
}

/** A setup module that ends its thread once the file is gone, and the threads that follow before they take a message. */
function failingSetup(file: string): string {
  return `import { existsSync } from 'node:fs'
const check = () => existsSync(${JSON.stringify(file)}) || process.exit(7)
export function setup() {
  check()
  setInterval(check, 20)
}`
}

describeWith(['chromium'], 'the headline of the dashboard', (tools) => {
  const open = useBrowser(tools.chromium)
  const cases = Object.entries(STATES).flatMap(([title, ways]) =>
    Object.entries(ways).map(([way, arrange]) => [title, way, arrange] as const),
  )

  test.each(cases)('is “%s” when %s', async (name, _way, arrange) => {
    const { url } = await arrange()
    const page = await open(url)
    await page.getByRole('heading', { level: 1, name, exact: true }).waitFor()
  })
})
