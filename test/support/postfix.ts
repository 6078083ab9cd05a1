import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { onTestFinished } from 'vitest'
import { answers, freePort } from './ports.js'
import type { Tool } from './prerequisites.mjs'

/** Debian's own users for Postfix exist only where it is installed: these exist everywhere. */
const OWNER = { name: 'mail', group: 'news', id: 8 }
const NOBODY = 65534
const QUEUES = [
  ...['active', 'bounce', 'corrupt', 'defer', 'deferred', 'flush', 'hold', 'incoming'],
  ...['maildrop', 'private', 'public', 'saved', 'trace'],
]

/** A mail server of our own, which takes mail for ada@example.com and eve@example.com and knows nobody else. */
export interface MailServer {
  port: number
  /** The messages for a mailbox, in full: those that were delivered, or that wait for that. */
  mailbox(name: 'ada' | 'eve'): Promise<string[]>
  /** The lines that it logged. */
  log(): Promise<string>
}

/** Starts Postfix with a configuration, a queue and mailboxes in a temporary folder. Needs root, as Postfix does. */
export async function startPostfix(master: Tool, settings: Record<string, string> = {}): Promise<MailServer> {
  const folder = await mkdtemp(path.join(tmpdir(), 'threadpost-postfix-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const port = await freePort()
  await prepare(folder)
  const config = { ...mainConfig(folder, master.command), ...settings }
  const lines = Object.entries(config).map(([name, value]) => `${name} = ${value}\n`)
  await writeFile(path.join(folder, 'etc/main.cf'), lines.join(''))
  await writeFile(path.join(folder, 'etc/master.cf'), services(port))

  const etc = path.join(folder, 'etc')
  const child = spawn(master.command, [...master.args, '-s', '-c', etc], {
    env: { ...process.env, ...master.env, MAIL_CONFIG: etc },
    stdio: 'ignore',
  })
  onTestFinished(async () => {
    // It ends its daemons with it.
    child.kill()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  const log = (): Promise<string> => readFile(path.join(folder, 'log'), 'utf8').catch(() => '')
  while (!(await answers(port))) {
    if (child.exitCode !== null) throw new Error(`Postfix ended with ${child.exitCode}: ${await log()}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return {
    port,
    log,
    async mailbox(name) {
      const box = path.join(folder, 'mail', name, 'new')
      const files = await readdir(box).catch(() => [])
      return Promise.all(files.map((file) => readFile(path.join(box, file), 'utf8')))
    },
  }
}

async function prepare(folder: string): Promise<void> {
  // Its daemons change to users that must get to their folders.
  await chmod(folder, 0o755)
  for (const name of ['etc', 'queue', 'queue/pid', 'data', 'mail']) await mkdir(path.join(folder, name))
  for (const name of QUEUES) {
    await mkdir(path.join(folder, 'queue', name))
    await chown(path.join(folder, 'queue', name), OWNER.id, OWNER.id)
  }
  await chown(path.join(folder, 'data'), OWNER.id, OWNER.id)
  await chown(path.join(folder, 'mail'), NOBODY, NOBODY)
}

function mainConfig(folder: string, master: string): Record<string, string> {
  const daemons = path.dirname(master)
  return {
    compatibility_level: '3.6',
    queue_directory: path.join(folder, 'queue'),
    data_directory: path.join(folder, 'data'),
    daemon_directory: daemons,
    command_directory: path.resolve(daemons, '../../../sbin'),
    shlib_directory: path.dirname(daemons),
    mail_owner: OWNER.name,
    setgid_group: OWNER.group,
    default_privs: 'nobody',
    import_environment: 'LD_LIBRARY_PATH MAIL_CONFIG',
    maillog_file: path.join(folder, 'log'),
    maillog_file_prefixes: folder,
    inet_interfaces: '127.0.0.1',
    inet_protocols: 'ipv4',
    myhostname: 'mx.example',
    mydestination: '',
    local_recipient_maps: '',
    alias_maps: '',
    alias_database: '',
    smtpd_relay_restrictions: 'reject_unauth_destination',
    virtual_mailbox_domains: 'example.com',
    virtual_mailbox_base: path.join(folder, 'mail'),
    virtual_mailbox_maps: 'inline:{ada@example.com=ada/, eve@example.com=eve/}',
    virtual_uid_maps: `static:${NOBODY}`,
    virtual_gid_maps: `static:${NOBODY}`,
  }
}

function services(port: number): string {
  return `127.0.0.1:${port} inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
error unix - - n - - error
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
virtual unix - n n - - virtual
`
}
