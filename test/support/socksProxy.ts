import { createServer, connect, type Socket } from 'node:net'
import { join, listenOnLoopback } from './loopback.js'

/** A SOCKS5 proxy (RFC 1928, RFC 1929). */
export interface SocksProxy {
  url: string
  /** The hosts that it was asked for, with their ports. */
  targets: string[]
}

interface Behavior {
  login?: { user: string; pass: string }
  /** The reply code for every request, instead of a connection. */
  refuse?: number
  /** Where connections to a name go. @default the name */
  names?: Record<string, string>
  /** Whether the servers speak first: their greeting arrives with the reply. @default true */
  speaksFirst?: boolean
}

export async function startSocksProxy({
  login,
  refuse,
  names = {},
  speaksFirst = true,
}: Behavior = {}): Promise<SocksProxy> {
  const targets: string[] = []
  const server = createServer((client) => void serve(client).catch(() => client.destroy()))

  async function serve(client: Socket): Promise<void> {
    const read = reader(client)
    const [, methods = 0] = await read(2)
    const offered = await read(methods)
    const method = login === undefined ? 0 : 2
    if (!offered.includes(method)) return void client.end(Buffer.of(5, 0xff))
    client.write(Buffer.of(5, method))
    if (login !== undefined) {
      const text = async (): Promise<string> => (await read((await read(1))[0] ?? 0)).toString()
      await read(1)
      const accepted = (await text()) === login.user && (await text()) === login.pass
      client.write(Buffer.of(1, accepted ? 0 : 1))
      if (!accepted) return void client.end()
    }
    const [, , , kind = 0] = await read(4)
    const host = await hostOf(kind, read)
    const port = (await read(2)).readUInt16BE()
    targets.push(`${host}:${port}`)
    const reply = (code: number): Buffer => Buffer.of(5, code, 0, 1, 127, 0, 0, 1, 0, 0)
    if (refuse !== undefined) return void client.end(reply(refuse))
    const target = connect(port, names[host] ?? host)
    target.once('error', () => client.end(reply(5)))
    target.once(speaksFirst ? 'data' : 'connect', (greeting = Buffer.alloc(0)) => {
      client.write(Buffer.concat([reply(0), greeting as Buffer]))
      join(client, target)
    })
  }

  return { url: `socks5://127.0.0.1:${await listenOnLoopback(server)}`, targets }
}

type Read = (length: number) => Promise<Buffer>

/** Reads so many octets of a client. The rest stays on the socket. */
function reader(client: Socket): Read {
  client.on('error', () => undefined)
  return async (length) => {
    for (;;) {
      const chunk = (length === 0 ? Buffer.alloc(0) : client.read(length)) as Buffer | null
      if (chunk !== null) return chunk
      await new Promise<void>((resolve, reject) => {
        client.once('readable', resolve)
        client.once('close', () => reject(new Error('closed')))
      })
    }
  }
}

async function hostOf(kind: number, read: Read): Promise<string> {
  if (kind === 1) return [...(await read(4))].join('.')
  if (kind === 3) return (await read((await read(1))[0] ?? 0)).toString()
  return (await read(16)).toString('hex').replace(/(.{4})(?!$)/g, '$1:')
}
