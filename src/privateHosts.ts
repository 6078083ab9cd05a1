import { lookup as lookUp, type LookupAddress } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'

/**
 * Address blocks that are not reachable from the whole Internet (RFC 6890), and those that embed addresses of others. 168.63.129.16
 * is public by its number, and leads to the platform's own service on a machine at Azure.
 */
const PRIVATE_IPV4: readonly [network: string, prefix: number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['168.63.129.16', 32],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
]
/** Everything outside 2000::/3, and the blocks within it that are not global unicast. */
const PRIVATE_IPV6: readonly [network: string, prefix: number][] = [
  ['::', 3],
  ['4000::', 2],
  ['8000::', 1],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
]

/** One list per family: a list of both also applies the rules for `::ffff:0:0/96` to IPv4 addresses. */
const ipv4 = new BlockList()
for (const [network, prefix] of PRIVATE_IPV4) ipv4.addSubnet(network, prefix, 'ipv4')
const ipv6 = new BlockList()
for (const [network, prefix] of PRIVATE_IPV6) ipv6.addSubnet(network, prefix, 'ipv6')

/** Whether an IP address belongs to this machine, to a private network, or to no network. */
export function isPrivateAddress(address: string): boolean {
  const family = isIP(address)
  if (family === 4) return ipv4.check(address, 'ipv4')
  return family === 0 || ipv6.check(address, 'ipv6')
}

/**
 * Whether the host of a URL is a private address. A host name is not: {@link lookUpPublic} checks the addresses that it
 * resolves to, when the connection is opened.
 */
export function isPrivateHost(hostname: string): boolean {
  const address = hostname.replace(/^\[|\]$/g, '')
  return isIP(address) !== 0 && isPrivateAddress(address)
}

/** Resolves a host name for a connection, and fails if one of its addresses is private: it may not be checked earlier, since the next answer of the DNS may differ. */
export const lookUpPublic: LookupFunction = (hostname, options, callback) => {
  lookUp(hostname, options, (error, address: string | LookupAddress[], family) => {
    if (error !== null) {
      callback(error, address, family)
      return
    }
    const addresses = typeof address === 'string' ? [address] : address.map((entry) => entry.address)
    callback(addresses.some(isPrivateAddress) ? privateHost(hostname) : null, address, family)
  })
}

/** The error of a connection to a private host. */
export function privateHost(hostname: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`"${hostname.slice(0, 100)}" is a private address`), {
    code: 'EPRIVATEHOST',
  })
}
