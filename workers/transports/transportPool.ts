import type { ConnectionCounts } from '../../src/protocol/tasks.js'
import type { TransportConfig, TransportReport, TransportUpdate } from '../../src/protocol/transportConfig.js'
import { DkimSigner } from '../compose/dkimSigner.js'
import { ApiSender } from './apiSender.js'
import { brevoApi } from './apis/brevoApi.js'
import { mailgunApi } from './apis/mailgunApi.js'
import { mailjetApi } from './apis/mailjetApi.js'
import { msgraphApi } from './apis/msgraphApi.js'
import { postmarkApi } from './apis/postmarkApi.js'
import { resendApi } from './apis/resendApi.js'
import { sendgridApi } from './apis/sendgridApi.js'
import { FileSender } from './fileSender.js'
import { PluginSender } from './pluginSender.js'
import { SesSender } from './sesSender.js'
import { SmtpSender } from './smtp/smtpSender.js'
import type { Transport } from './transport.js'

/**
 * @param connections the maximum number of connections, or of concurrent requests
 * @param onConnections called with the changes of the numbers of SMTP connections
 */
function createTransport(
  config: TransportConfig,
  connections: number,
  onConnections: (change: ConnectionCounts) => void,
): Transport {
  switch (config.kind) {
    case 'smtp':
      return new SmtpSender(config, connections, onConnections)
    case 'file':
      return new FileSender(config, connections)
    case 'sendgrid':
      return new ApiSender(config, sendgridApi(config), connections)
    case 'postmark':
      return new ApiSender(config, postmarkApi(config), connections)
    case 'mailgun':
      return new ApiSender(config, mailgunApi(config), connections)
    case 'resend':
      return new ApiSender(config, resendApi(config), connections)
    case 'brevo':
      return new ApiSender(config, brevoApi(config), connections)
    case 'mailjet':
      return new ApiSender(config, mailjetApi(config), connections)
    case 'msgraph':
      return new ApiSender(config, msgraphApi(config), connections)
    case 'ses':
      return new SesSender(config, connections)
    case 'plugin':
      return new PluginSender(config, connections)
  }
}

interface Entry {
  config: TransportConfig
  transport: Transport
  signer: DkimSigner | undefined
}

/** The transports of one worker thread, by name. */
export class TransportPool {
  readonly #connections: number
  readonly #threads: number
  readonly #onCount: (connections: ConnectionCounts) => void
  readonly #entries = new Map<string, Entry>()
  /** Replaced transports that still have messages in progress. */
  readonly #retiring = new Set<Transport>()
  #counts: ConnectionCounts = { open: 0, pipelined: 0 }

  /**
   * @param connections the maximum number of connections per transport in this thread
   * @param threads the number of threads that share a transport's own limit
   * @param onCount called with the open connections whenever they change
   */
  constructor(
    configs: readonly TransportConfig[],
    connections: number,
    threads: number,
    onCount: (connections: ConnectionCounts) => void,
  ) {
    this.#connections = connections
    this.#threads = threads
    this.#onCount = onCount
    this.#add(configs)
  }

  has(name: string): boolean {
    return this.#entries.has(name)
  }

  /** Returns the transport with its current settings. */
  get(name: string): Transport {
    const entry = this.#entries.get(name)
    if (entry === undefined) throw new Error(`there is no transport ${name}`)
    return entry.transport
  }

  /** Resolves when all transports have loaded their packages; rejects with the package to install. */
  async ready(): Promise<void> {
    for (const { transport } of this.#entries.values()) await transport.ready?.()
  }

  /** Returns the signer of a transport that has DKIM keys. */
  signer(name: string): DkimSigner | undefined {
    return this.#entries.get(name)?.signer
  }

  /** Tests the connection to the server, and authentication. */
  async verify(name: string): Promise<TransportReport> {
    return this.get(name).verify()
  }

  /**
   * Applies new settings. Messages in progress finish on their old connection; waiting messages use the new settings. A
   * transport with unchanged settings keeps its connections. Resolves when the connections of the removed ones are closed.
   */
  async update({ set, remove }: TransportUpdate): Promise<void> {
    const removed = remove.flatMap((name) => this.#entries.get(name)?.transport ?? [])
    for (const name of remove) this.#entries.delete(name)
    this.#add(set)
    await Promise.all(removed.map((transport) => transport.quit()))
  }

  #add(configs: readonly TransportConfig[]): void {
    for (const config of configs) {
      const old = this.#entries.get(config.name)
      if (old !== undefined && JSON.stringify(old.config) === JSON.stringify(config)) continue
      const transport = createTransport(config, this.#share(config), (change) => this.#count(change))
      const keys = 'dkim' in config ? config.dkim : undefined
      const signer = keys === undefined ? undefined : new DkimSigner(keys)
      this.#entries.set(config.name, { config, transport, signer })
      if (old !== undefined) this.#retire(old.transport, transport)
    }
  }

  #count({ open, pipelined }: ConnectionCounts): void {
    this.#counts = { open: this.#counts.open + open, pipelined: this.#counts.pipelined + pipelined }
    this.#onCount(this.#counts)
  }

  #retire(transport: Transport, successor: Transport): void {
    this.#retiring.add(transport)
    void transport.retire(successor).finally(() => this.#retiring.delete(transport))
  }

  #share({ connections = Infinity }: TransportConfig): number {
    return Math.min(this.#connections, Math.max(1, Math.floor(connections / this.#threads)))
  }

  async quit(): Promise<void> {
    const current = [...this.#entries.values()].map(({ transport }) => transport)
    await Promise.all([...current, ...this.#retiring].map((transport) => transport.quit()))
  }
}
