import { Command, Option } from 'commander'
import { ThreadpostError } from '../errors.js'
import type { Inbox } from '../inbox/inbox.js'
import { isLoopback } from '../loopback.js'
import { parsePort, parseInteger } from './settings.js'
import { closeOnSignal, listenError, withExamples } from './terminal.js'

interface InboxFlags {
  port: number
  smtpPort: number
  host: string
  keep: number
  openToAll?: boolean
  json?: boolean
}

export function inboxCommand(): Command {
  const command = new Command('inbox')
    .summary('receive mail and show it, for development and tests')
    .description(
      'Run a stand-alone inbox: an SMTP server that stores mail and forwards nothing, a page that shows it, and an HTTP API ' +
        'for end-to-end tests of applications in any language. It listens on loopback, because it has no login.',
    )
    .addOption(
      new Option('--port <port>', 'port of the page and the HTTP API').argParser(parsePort).default(8025),
    )
    .addOption(new Option('--smtp-port <port>', 'SMTP port').argParser(parsePort).default(1025))
    .addOption(new Option('--host <host>', 'address to bind to').default('127.0.0.1'))
    .addOption(
      new Option('--keep <n>', 'number of mails to keep; the oldest are removed first')
        .argParser(parseInteger(1))
        .default(2000),
    )
    .addOption(
      new Option('--open-to-all', 'allow a host beyond loopback; anyone who can reach it can read all mail'),
    )
    .addOption(new Option('--json', 'print a line of JSON at the start and for each mail'))
    .action(run)
  return withExamples(command, {
    'send to smtp://127.0.0.1:1025 and open http://127.0.0.1:8025': 'threadpost inbox',
    'use free ports in a test; the first line of JSON contains them':
      'threadpost inbox --port 0 --smtp-port 0 --json',
  })
}

async function run({
  port,
  smtpPort,
  host,
  keep,
  openToAll = false,
  json = false,
}: InboxFlags): Promise<void> {
  if (!openToAll && !isLoopback(host))
    throw new ThreadpostError(
      'INVALID_OPTIONS',
      `host: on ${host}, anyone could read all mail; use 127.0.0.1, or add --open-to-all`,
      { path: 'host' },
    )
  const [{ startInbox }, { startInboxServer }] = await Promise.all([
    import('../inbox/inbox.js'),
    import('../inbox/inboxRouter.js'),
  ])
  const inbox = await startInbox({ port: smtpPort, host, keep }).catch((error: unknown) => {
    throw listenError(error, '--smtp-port', smtpPort, host)
  })
  let page
  try {
    page = await startInboxServer(inbox, { port, host, ...(openToAll ? { hosts: ['*'] } : {}) })
  } catch (error) {
    await inbox.close()
    throw listenError(error, '--port', port, host)
  }
  if (json) printJson(inbox, page.url)
  else {
    console.log(`The inbox listens on ${inbox.url}`)
    console.log(`  page  ${page.url}`)
    console.log(`  API   ${page.url}/api/messages`)
  }
  closeOnSignal(async () => {
    await page.close()
    await inbox.close()
  })
}

function printJson(inbox: Inbox, url: string): void {
  console.log(JSON.stringify({ event: 'listening', smtp: inbox.url, url }))
  inbox.on('received', ({ id, envelope, receivedAt, raw }) => {
    console.log(JSON.stringify({ event: 'received', id, envelope, receivedAt, size: raw.byteLength }))
  })
}
