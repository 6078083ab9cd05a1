import dns, { type LookupAddress, type LookupAllOptions } from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'
import { createServer, type LookupFunction } from 'node:net'
import { networkInterfaces } from 'node:os'
import { createMailer } from 'threadpost'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SmtpTransport } from '../../../src/protocol/transportConfig.js'
import { listenOnLoopback } from '../../support/loopback.js'
import { senderTo } from '../../support/smtpSender.js'

/** Whether this machine has IPv6 on loopback; containers may have none. */
const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
  list?.some(({ address }) => address === '::1'),
)

/** A server that greets and answers EHLO, on one address. @returns its port */
const serverAt = (host: string): Promise<number> =>
  listenOnLoopback(
    createServer((socket) => {
      socket.write('220 hello\r\n')
      socket.on('data', (line) => socket.write(/^QUIT/.test(line.toString()) ? '221 bye\r\n' : '250 ok\r\n'))
      socket.on('error', () => undefined)
    }),
    host,
  )

let restore = (): void => undefined
afterEach(() => restore())

/** Gives the name `both.test` an address of each version, in the order of the DNS. */
function nameBoth(addresses: readonly LookupAddress[]): void {
  const { lookup } = dns
  const answer = (name: string, options: LookupAllOptions, callback: Parameters<LookupFunction>[2]): void => {
    if (name !== 'both.test') return lookup(name, options, callback)
    const found = addresses.filter(({ family }) => !options.family || family === options.family)
    if (options.all) callback(null, found)
    else callback(null, found[0]?.address ?? '', found[0]?.family)
  }
  const install = (value: unknown): void => {
    Object.assign(dns, { lookup: value })
    syncBuiltinESMExports()
  }
  install(answer)
  restore = () => install(lookup)
}

const IPV4 = { address: '127.0.0.1', family: 4 }
const IPV6 = { address: '::1', family: 6 }

async function routeOf(port: number, extra: Partial<SmtpTransport>) {
  const report = await senderTo(port, { host: 'both.test', ...extra }).verify()
  return report.ok ? report.route : report.message
}

describe.skipIf(!hasIpv6).each([
  ['IPv6 before IPv4', [IPV6, IPV4]],
  ['IPv4 before IPv6', [IPV4, IPV6]],
])('the version of IP, with a name that has %s', (_, addresses) => {
  beforeEach(() => nameBoth(addresses))

  it('the one that is tried first gives way to the other if no server answers there', async () => {
    const [four, six] = [await serverAt('127.0.0.1'), await serverAt('::1')]
    for (const family of ['ipv4first', 'ipv6first'] as const) {
      expect(await routeOf(four, { family })).toMatchObject({ address: '127.0.0.1', family: 4 })
      expect(await routeOf(six, { family })).toMatchObject({ address: '::1', family: 6 })
    }
  })

  it('the one that is tried first is used if both answer', async () => {
    const port = await serverAt('::')
    expect(await routeOf(port, { family: 'ipv6first' })).toMatchObject({ family: 6 })
    expect(await routeOf(port, { family: 'ipv4first' })).toMatchObject({
      address: expect.stringMatching(/^127/),
    })
  })

  it('4 or 6 is the only one', async () => {
    const six = await serverAt('::1')
    expect(await routeOf(six, { family: 6 })).toEqual({ address: '::1', family: 6, localAddress: '::1' })
    expect(await routeOf(six, { family: 4 })).toMatch(
      /^The server could not be reached: connect ECONNREFUSED 127/,
    )
  })

  it('localAddress decides it, too', async () => {
    const port = await serverAt('::')
    expect(await routeOf(port, { localAddress: '::1' })).toMatchObject({
      address: '::1',
      localAddress: '::1',
    })
    const four = await serverAt('127.0.0.1')
    expect(await routeOf(four, { localAddress: '127.0.0.1' })).toMatchObject({ localAddress: '127.0.0.1' })
  })

  it('a public host is checked in the version that is used', async () => {
    for (const family of [4, 6, 'ipv4first'] as const)
      expect(await routeOf(25, { family, publicOnly: true })).toContain('"both.test" is a private address')
  })
})

it.each([
  [{ family: 5 }, "must be 4, 6, 'ipv4first', or 'ipv6first'"],
  [{ family: 6 }, 'is 6, and the host is an address of IPv4'],
  [
    { family: 6, url: 'smtp://localhost', localAddress: '127.0.0.1' },
    'is 6, and localAddress is an address of IPv4',
  ],
  [{ family: 4, proxy: 'socks5://localhost' }, "can't be combined with proxy"],
])('refuses a version of IP that can’t be used: %j', async (options, reason) => {
  const transport = { url: 'smtp://127.0.0.1:1', ...options } as { url: string }
  const failed: unknown = await createMailer({ from: 'a@acme.example', transport }).catch(
    (error: unknown) => error,
  )
  expect(failed).toMatchObject({ code: 'INVALID_OPTIONS', path: 'transport.family' })
  expect(String(failed)).toContain(reason)
})
