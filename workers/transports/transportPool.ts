import type { TransportConfig, TransportReport } from '../../src/protocol/transportConfig.js'
import type { Composed } from '../compose/compose.js'
import { DkimSigner } from './dkimSigner.js'
import { FileSender } from './fileSender.js'
import { PluginSender } from './pluginSender.js'
import { SendgridSender } from './sendgridSender.js'
import { SesSender } from './sesSender.js'
import { SmtpSender } from './smtp/smtpSender.js'
import type { Transport } from './transport.js'

/**
 * @param connections at most, or requests at a time where there are none
 * @param changed is told of each SMTP connection that is open, and that is no more
 */
function createTransport(
  config: TransportConfig,
  connections: number,
  changed: (change: 1 | -1) => void,
): Transport {
  switch (config.kind) {
    case 'smtp':
      return new SmtpSender(config, connections, changed)
    case 'file':
      return new FileSender(config, connections)
    case 'sendgrid':
      return new SendgridSender(config, connections)
    case 'ses':
      return new SesSender(config, connections)
    case 'plugin':
      return new PluginSender(config, connections)
  }
}

interface Entry {
  config: TransportConfig
  transport: Transport
  dkim: DkimSigner | undefined
}

/** The transports of one thread, by name. */
export class TransportPool {
  readonly #connections: number
  readonly #threads: number
  readonly #count: (connections: number) => void
  readonly #entries = new Map<string, Entry>()
  /** Replaced by others, with something still under way. */
  readonly #retiring = new Set<Transport>()
  #open = 0

  /**
   * @param connections of this thread at most
   * @param threads that share what a transport may have in all
   * @param count is told how many connections there are, whenever that has changed
   */
  constructor(
    configs: readonly TransportConfig[],
    connections: number,
    threads: number,
    count: (connections: number) => void,
  ) {
    this.#connections = connections
    this.#threads = threads
    this.#count = count
    this.reload(configs)
  }

  has(name: string): boolean {
    return this.#entries.has(name)
  }

  /** The transport as its settings are now. */
  get(name: string): Transport {
    const entry = this.#entries.get(name)
    if (entry === undefined) throw new Error(`there is no transport ${name}`)
    return entry.transport
  }

  /** Once what they need is loaded. Rejects where it is not installed, with what to install. */
  async ready(): Promise<void> {
    for (const { transport } of this.#entries.values()) await transport.ready?.()
  }

  /** The message as it goes out over this transport: signed, if it has keys. */
  sign(name: string, message: Composed): Composed | Promise<Composed> {
    const dkim = this.#entries.get(name)?.dkim
    if (dkim === undefined) return message
    return dkim.sign(message.bytes).then((bytes) => ({ bytes, transparent: false }))
  }

  /** Tries what every message needs first: reaching the server, and being let in. */
  async verify(name: string): Promise<TransportReport> {
    return this.get(name).verify()
  }

  /**
   * Takes other settings. What was begun ends on its old connection, what waits goes by the new ones; a transport
   * whose settings are the same keeps its connections.
   */
  reload(configs: readonly TransportConfig[]): void {
    for (const config of configs) {
      const old = this.#entries.get(config.name)
      if (old !== undefined && JSON.stringify(old.config) === JSON.stringify(config)) continue
      const transport = createTransport(config, this.#share(config), (change) =>
        this.#count((this.#open += change)),
      )
      const keys = 'dkim' in config ? config.dkim : undefined
      const dkim = keys === undefined ? undefined : new DkimSigner(keys)
      this.#entries.set(config.name, { config, transport, dkim })
      if (old !== undefined) this.#retire(old.transport, transport)
    }
  }

  #retire(transport: Transport, heir: Transport): void {
    this.#retiring.add(transport)
    void transport.retire(heir).finally(() => this.#retiring.delete(transport))
  }

  #share({ connections = Infinity }: TransportConfig): number {
    return Math.min(this.#connections, Math.max(1, Math.floor(connections / this.#threads)))
  }

  async quit(): Promise<void> {
    const present = [...this.#entries.values()].map(({ transport }) => transport)
    await Promise.all([...present, ...this.#retiring].map((transport) => transport.quit()))
  }
}
