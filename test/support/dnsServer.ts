import { createSocket } from 'node:dgram'
import dns from 'node:dns/promises'
import { once } from 'node:events'
import { onTestFinished } from 'vitest'

const TXT = 16
const NXDOMAIN = 3

/**
 * A DNS server on loopback that knows some TXT records, each of them as its strings.
 * @param host for programs that can't be given another port than 53, which needs root: an address of their own
 */
export async function txtServer(
  records: Record<string, string[][]>,
  host?: string,
): Promise<{ address: string; lookup: (name: string) => Promise<string[][]> }> {
  const socket = createSocket('udp4')
  socket.on('message', (query, { port, address }) => socket.send(answer(query, records), port, address))
  socket.bind(host === undefined ? 0 : 53, host ?? '127.0.0.1')
  await once(socket, 'listening')
  onTestFinished(() => void socket.close())
  const address = `${host ?? '127.0.0.1'}:${socket.address().port}`
  const resolver = new dns.Resolver({ tries: 1 })
  resolver.setServers([address])
  return { address, lookup: (name) => resolver.resolveTxt(name) }
}

/** The reply to a query with one question (RFC 1035 section 4). */
function answer(query: Buffer, records: Record<string, string[][]>): Buffer {
  const labels: string[] = []
  let at = 12
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += length + 1
  }
  const question = query.subarray(12, at + 5)
  const found = query.readUInt16BE(at + 1) === TXT ? records[labels.join('.')] : undefined
  const header = Buffer.alloc(12)
  query.copy(header, 0, 0, 2)
  header.writeUInt16BE(found === undefined ? 0x8180 | NXDOMAIN : 0x8180, 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(found?.length ?? 0, 6)
  const answers = (found ?? []).map((strings) => {
    const data = Buffer.concat(strings.flatMap((text) => [Buffer.of(text.length), Buffer.from(text)]))
    // The name is a pointer to the question's; the time to live is 0.
    const record = Buffer.from([0xc0, 12, 0, TXT, 0, 1, 0, 0, 0, 0, 0, 0])
    record.writeUInt16BE(data.length, 10)
    return Buffer.concat([record, data])
  })
  return Buffer.concat([header, question, ...answers])
}
