import { Command, Option } from 'commander'
import { createMailer } from '../createMailer.js'
import { ThreadpostError } from '../errors.js'
import { startServer } from '../server.js'
import { closeOnSignal } from '../shutdown.js'
import { wholeNumber } from './arguments.js'
import { type MailerSettings, mailerOptions, withMailerFlags } from './settings.js'

interface ServeSettings extends MailerSettings {
  port: number
  host: string
  token?: string
}

export function serveCommand(): Command {
  const command = new Command('serve')
    .description(
      'Run the mail service: start page, HTTP API under /mail, and the embedded inbox without a transport.',
    )
    .addOption(
      new Option('--port <port>', 'port to listen on').argParser(wholeNumber(0)).default(3000).env('PORT'),
    )
    .addOption(new Option('--host <host>', 'address to bind to').default('127.0.0.1').env('HOST'))
    .addOption(
      new Option('--token <token>', 'bearer token of the HTTP API; required beyond loopback').env(
        'THREADPOST_TOKEN',
      ),
    )
  return withMailerFlags(command).action(serve)
}

async function serve(settings: ServeSettings): Promise<void> {
  const mailer = await createMailer(await mailerOptions(settings))
  const { port, host, token } = settings
  let server
  try {
    server = await startServer({
      mailer,
      port,
      host,
      ...(token === undefined || token === '' ? {} : { token }),
    })
  } catch (error) {
    await mailer.close({ deadline: 0 })
    throw listenProblem(error, port, host)
  }
  console.log(`threadpost is running at ${server.url}`)
  if (mailer.inbox !== undefined) {
    console.log(`  inbox       ${server.url}/inbox   (no transport is set: mail stays here)`)
    console.log(`  its SMTP    ${mailer.inbox.url}`)
  }
  console.log(`  dashboard   ${server.url}/mail/`)
  console.log(`  HTTP API    ${server.url}/mail/openapi.json`)
  console.log('Stop with Ctrl-C: mail under way is finished first.')
  closeOnSignal(async () => {
    await server.close()
    await mailer.close({ deadline: 10_000 })
  })
}

function listenProblem(error: unknown, port: number, host: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const problem =
    code === 'EADDRINUSE'
      ? 'is in use; take another with --port'
      : code === 'EACCES'
        ? 'may not be used by this user; take one above 1023 with --port'
        : undefined
  if (problem === undefined) return error
  return new ThreadpostError('INVALID_OPTIONS', `port: ${port} on ${host} ${problem}`, {
    path: 'port',
    cause: error,
  })
}
