import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { onTestFinished } from 'vitest'
import { txtServer } from './dnsServer.js'
import { answers, freePort } from './ports.js'
import type { MailServer } from './postfix.js'
import type { Tool } from './prerequisites.mjs'

/** The user that Debian's Exim asks for by name, where it isn't installed. */
const NOBODY = 65534

/**
 * Starts Exim with a configuration and a spool in a temporary folder. It delivers nothing: its mailboxes are what waits in the
 * spool. Needs root, as Exim does.
 * @param records the TXT records that it finds, with the public keys of DKIM
 */
export async function startExim(
  { command, args, env }: Tool,
  records: Record<string, string[][]> = {},
): Promise<MailServer> {
  const folder = await mkdtemp(path.join(tmpdir(), 'threadpost-exim-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const port = await freePort()
  const nameserver = `127.${randomInt(1, 255)}.${randomInt(255)}.${randomInt(1, 255)}`
  await txtServer(records, { host: nameserver })
  const [conf, spool, passwd, group, resolv] = ['conf', 'spool', 'passwd', 'group', 'resolv.conf'].map(
    (name) => path.join(folder, name),
  ) as [string, string, string, string, string]
  await chmod(folder, 0o755)
  await mkdir(spool)
  await chown(spool, NOBODY, NOBODY)
  await writeFile(conf, configuration(spool))
  await writeFile(passwd, `root:x:0:0::/:/bin/sh\nDebian-exim:x:${NOBODY}:${NOBODY}::/:/bin/false\n`)
  await writeFile(group, `root:x:0:\nDebian-exim:x:${NOBODY}:\n`)
  await writeFile(resolv, `nameserver ${nameserver}\n`)

  const child = spawn(command, [...args, '-bdf', '-oX', `127.0.0.1.${port}`, '-C', conf], {
    env: {
      ...process.env,
      ...env,
      LD_PRELOAD: 'libnss_wrapper.so:libresolv_wrapper.so',
      NSS_WRAPPER_PASSWD: passwd,
      NSS_WRAPPER_GROUP: group,
      RESOLV_WRAPPER_CONF: resolv,
    },
    stdio: 'ignore',
  })
  onTestFinished(async () => {
    child.kill()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  const log = (): Promise<string> => readFile(path.join(spool, 'mainlog'), 'utf8').catch(() => '')
  while (!(await answers(port))) {
    if (child.exitCode !== null) throw new Error(`Exim ended with ${child.exitCode}: ${await log()}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return {
    port,
    log,
    async mailbox(name) {
      const input = path.join(spool, 'input')
      const headers = (await readdir(input).catch(() => [])).filter((file) => file.endsWith('-H'))
      const mails = await Promise.all(headers.map((file) => readMail(path.join(input, file))))
      return mails.filter(({ to }) => to.includes(`${name}@example.com`)).map(({ text }) => text)
    },
  }
}

/** Reads a message from the spool: its header file has the recipients, and each field with its length and kind in front. */
async function readMail(file: string): Promise<{ to: string[]; text: string }> {
  const header = await readFile(file, 'utf8')
  const body = await readFile(file.replace(/-H$/, '-D'), 'utf8')
  const blank = header.indexOf('\n\n')
  const fields = header.slice(blank + 2).replaceAll(/^\d{3}[A-Z* ] /gm, '')
  return {
    to: header.slice(0, blank).split('\n'),
    // The first line of the body's file is its name.
    text: `${fields.trimEnd()}\n\n${body.slice(body.indexOf('\n') + 1)}`,
  }
}

/**
 * By itself, Exim ends a connection at the eleventh RSET. If more commands are under way, the system may discard its last reply, and
 * their messages are uncertain: that ending is tested with a scripted server (chunking.test.ts).
 */
function configuration(spool: string): string {
  return `spool_directory = ${spool}
log_file_path = ${spool}/%slog
pid_file_path = ${spool}/pid
keep_environment = LD_LIBRARY_PATH : LD_PRELOAD : ^NSS_WRAPPER : ^RESOLV_WRAPPER
primary_hostname = mx.example
queue_only
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts =
chunking_advertise_hosts = *
smtp_accept_max_per_connection = 1000
smtp_accept_max_nonmail = 1000
acl_smtp_rcpt = rcpt
acl_smtp_dkim = dkim

begin acl
rcpt:
  accept local_parts = ada : eve
         domains = example.com
  deny message = 5.1.1 There is no such mailbox.
dkim:
  accept logwrite = dkim $dkim_verify_status $dkim_cur_signer $dkim_algo $dkim_verify_reason
`
}
