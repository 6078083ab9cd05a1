import { createSocket } from 'node:dgram'
import dns from 'node:dns/promises'
import { once } from 'node:events'
import { onTestFinished } from 'vitest'

const MX = 15
const TXT = 16
const NXDOMAIN = 3

interface Others {
  /** Names with MX records, all of the same preference. */
  mx?: Record<string, string[]>
  /** Names whose queries get no answer, and those with an answer that is cut off. */
  silent?: readonly string[]
  garbage?: readonly string[]
  /** An address of its own, with port 53, for programs that ask at no other port. Needs root. */
  host?: string
}

/** A DNS server on loopback that knows some TXT records, each of them as its strings. */
export async function txtServer(
  records: Record<string, string[][]>,
  { mx = {}, silent = [], garbage = [], host }: Others = {},
): Promise<{ address: string; lookup: (name: string) => Promise<string[][]> }> {
  const socket = createSocket('udp4')
  socket.on('message', (query, { port, address }) => {
    const name = nameOf(query)
    if (silent.includes(name)) return
    const reply = answer(query, records, mx)
    // The header promises more than follows.
    if (garbage.includes(name)) reply.writeUInt16BE(3, 6)
    socket.send(reply, port, address)
  })
  socket.bind(host === undefined ? 0 : 53, host ?? '127.0.0.1')
  await once(socket, 'listening')
  onTestFinished(() => void socket.close())
  const address = `${host ?? '127.0.0.1'}:${socket.address().port}`
  const resolver = new dns.Resolver({ tries: 1 })
  resolver.setServers([address])
  return { address, lookup: (name) => resolver.resolveTxt(name) }
}

/** The name in the question of a query. */
function nameOf(query: Buffer): string {
  const labels: string[] = []
  let at = 12
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += length + 1
  }
  return labels.join('.')
}

/** The reply to a query with one question (RFC 1035 section 4). */
function answer(query: Buffer, records: Record<string, string[][]>, mx: Record<string, string[]>): Buffer {
  const name = nameOf(query)
  const end = 12 + name.length + 2
  const question = query.subarray(12, end + 4)
  const type = query.readUInt16BE(end)
  const found =
    type === TXT ? records[name]?.map(textData) : type === MX ? mx[name]?.map(exchangeData) : undefined
  const header = Buffer.alloc(12)
  query.copy(header, 0, 0, 2)
  header.writeUInt16BE(found === undefined ? 0x8180 | NXDOMAIN : 0x8180, 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(found?.length ?? 0, 6)
  const answers = (found ?? []).map((data) => {
    // The name is a pointer to the question's; the time to live is 0.
    const record = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 0, 0, 0])
    record.writeUInt16BE(data.length, 10)
    return Buffer.concat([record, data])
  })
  return Buffer.concat([header, question, ...answers])
}

function textData(strings: readonly string[]): Buffer {
  return Buffer.concat(strings.flatMap((text) => [Buffer.of(text.length), Buffer.from(text)]))
}

function exchangeData(host: string): Buffer {
  const labels = host.split('.').filter((label) => label !== '')
  const name = labels.flatMap((label) => [Buffer.of(label.length), Buffer.from(label)])
  return Buffer.concat([Buffer.of(0, 10), ...name, Buffer.of(0)])
}
