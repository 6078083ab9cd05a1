import { Command, Option } from 'commander'
import { ThreadpostError } from '../errors.js'
import { type Inbox, startInbox } from '../inbox/inbox.js'
import { startInboxServer } from '../inbox/inboxRouter.js'
import { isLoopback } from '../transports/providers.js'
import { portNumber, wholeNumber } from './arguments.js'
import { closeOnSignal, listenProblem } from './shutdown.js'
import { withExamples } from './terminal.js'

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
    .summary('receive mail and show it: for development and tests')
    .description(
      'Run an inbox alone: an SMTP server that keeps what it receives and hands nothing on, a page that shows it, and an API ' +
        'for end-to-end tests, for an app in any language. It listens on loopback, since there is no login.',
    )
    .addOption(
      new Option('--port <port>', 'port of the page and the API').argParser(portNumber).default(8025),
    )
    .addOption(new Option('--smtp-port <port>', 'port to send to').argParser(portNumber).default(1025))
    .addOption(new Option('--host <host>', 'address to bind to').default('127.0.0.1'))
    .addOption(
      new Option('--keep <n>', 'mails kept; the oldest go first').argParser(wholeNumber(1)).default(2000),
    )
    .addOption(
      new Option('--open-to-all', 'allow a host beyond loopback: there is no login, all mail can be read'),
    )
    .addOption(new Option('--json', 'print a line of JSON for the start and for each mail'))
    .action(run)
  return withExamples(command, {
    'your app sends to smtp://127.0.0.1:1025; look at http://127.0.0.1:8025': 'threadpost inbox',
    'in a test, on free ports, which the first line of JSON tells':
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
      `host: on ${host} anybody could read all mail; listen on 127.0.0.1, or add --open-to-all`,
      { path: 'host' },
    )
  const inbox = await startInbox({ port: smtpPort, host, keep }).catch((error: unknown) => {
    throw listenProblem(error, '--smtp-port', smtpPort, host)
  })
  let page
  try {
    page = await startInboxServer(inbox, { port, host, anyHost: openToAll })
  } catch (error) {
    await inbox.close()
    throw listenProblem(error, '--port', port, host)
  }
  if (json) tellInJson(inbox, page.url)
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

function tellInJson(inbox: Inbox, url: string): void {
  console.log(JSON.stringify({ event: 'listening', smtp: inbox.url, url }))
  inbox.on('received', ({ id, envelope, receivedAt, raw }) => {
    console.log(JSON.stringify({ event: 'received', id, envelope, receivedAt, size: raw.byteLength }))
  })
}
