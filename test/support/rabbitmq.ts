import { type ChildProcess, spawn, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, mkdir, mkdtemp, readdir, realpath, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { freePort } from './ports.js'
import type { Tool } from './prerequisites.mjs'

/** The user `nobody`. */
const NOBODY = 65_534
/** Starts Erlang from where it lies: Debian's own script knows only the place where the package installs it. */
const ERL = `#!/bin/sh
ROOTDIR=$ERLANG_ROOT BINDIR=$ERTS/bin EMU=beam PROGNAME=erl
export ROOTDIR BINDIR EMU PROGNAME
exec "$BINDIR/erlexec" "$@"
`

/** A RabbitMQ server on loopback that can be killed and started again with its data. */
export class RabbitMq {
  readonly url: string
  readonly #tool: Tool
  readonly #home: string
  readonly #ports: { amqp: number; epmd: number; distribution: number }
  readonly #processes: ChildProcess[] = []

  private constructor(tool: Tool, home: string, ports: { amqp: number; epmd: number; distribution: number }) {
    this.#tool = tool
    this.#home = home
    this.#ports = ports
    this.url = `amqp://guest:guest@127.0.0.1:${ports.amqp}`
  }

  static async start(tool: Tool): Promise<RabbitMq> {
    const home = await mkdtemp(path.join(tmpdir(), 'threadpost-rabbitmq-'))
    const ports = { amqp: await freePort(), epmd: await freePort(), distribution: await freePort() }
    const server = new RabbitMq(tool, home, ports)
    await mkdir(path.join(home, 'bin'))
    await writeFile(path.join(home, 'bin/erl'), ERL, { mode: 0o755 })
    await writeFile(
      path.join(home, 'rabbitmq.conf'),
      `listeners.tcp.1 = 127.0.0.1:${ports.amqp}\nlog.console = true\n`,
    )
    await chmod(home, 0o755)
    if (process.getuid?.() === 0) await chown(home, NOBODY, NOBODY)
    try {
      await server.run()
    } catch (error) {
      await server.close()
      throw error
    }
    return server
  }

  /** Starts the server. Resolves when it accepts connections. */
  async run(): Promise<void> {
    const sbin = path.dirname(await realpath(this.#tool.command))
    const erlang = path.resolve(path.dirname(this.#tool.command), '../../erlang')
    const erts = path.join(erlang, (await readdir(erlang)).find((name) => name.startsWith('erts-')) ?? '')
    const { epmd, distribution } = this.#ports
    const options: SpawnOptions = {
      ...(await ownerOf(this.#tool.command)),
      cwd: this.#home,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...this.#tool.env,
        HOME: this.#home,
        LANG: 'C.UTF-8',
        PATH: [path.join(this.#home, 'bin'), path.join(erlang, 'bin'), '/usr/bin', '/bin'].join(':'),
        ERLANG_ROOT: erlang,
        ERTS: erts,
        ERL_EPMD_PORT: String(epmd),
        ERL_EPMD_ADDRESS: '127.0.0.1',
        RABBITMQ_NODENAME: 'threadpost@localhost',
        RABBITMQ_DIST_PORT: String(distribution),
        RABBITMQ_CONFIG_FILE: path.join(this.#home, 'rabbitmq'),
        RABBITMQ_MNESIA_BASE: path.join(this.#home, 'data'),
        RABBITMQ_LOG_BASE: path.join(this.#home, 'log'),
        RABBITMQ_LOGS: '-',
        RABBITMQ_ENABLED_PLUGINS_FILE: path.join(this.#home, 'plugins'),
        RABBITMQ_PLUGINS_DIR: path.resolve(sbin, '../plugins'),
        RABBITMQ_CONF_ENV_FILE: path.join(this.#home, 'none'),
        // The script then becomes the server, instead of waiting for it.
        RABBITMQ_ALLOW_INPUT: '1',
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-noinput -kernel inet_dist_use_interface {127,0,0,1}',
      },
    }
    if (this.#processes.length === 0)
      this.#processes.push(
        spawn(path.join(erts, 'bin/epmd'), ['-port', String(epmd), '-address', '127.0.0.1'], {
          ...options,
          stdio: 'ignore',
        }),
      )
    const server = spawn('/bin/sh', [path.join(sbin, 'rabbitmq-server')], options)
    this.#processes[1] = server
    let log = ''
    await new Promise<void>((resolve, reject) => {
      for (const stream of [server.stdout, server.stderr])
        stream?.setEncoding('utf8').on('data', (chunk: string) => {
          log = (log + chunk).slice(-20_000)
          if (log.includes('Server startup complete')) resolve()
        })
      server.once('exit', (code) => reject(new Error(`RabbitMQ ended with ${code}:\n${log}`)))
      server.once('error', reject)
    })
  }

  /** Kills the server; its data stays. */
  async kill(): Promise<void> {
    const server = this.#processes[1]
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return
    const gone = once(server, 'exit')
    server.kill('SIGKILL')
    await gone
  }

  async close(): Promise<void> {
    await this.kill()
    this.#processes[0]?.kill('SIGKILL')
    await rm(this.#home, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Root becomes `nobody`, if that user can read the program. */
async function ownerOf(file: string): Promise<{ uid?: number; gid?: number }> {
  if (process.getuid?.() !== 0) return {}
  for (let folder = path.dirname(file); folder !== '/'; folder = path.dirname(folder))
    if (((await stat(folder)).mode & 0o005) !== 0o005) return {}
  return { uid: NOBODY, gid: NOBODY }
}
