import { isIPv6 } from 'node:net'

/**
 * The network by which a client is limited: its IPv4 address, or the /64 network of its IPv6 address. A site has a whole /64 network
 * (RFC 6177), so that each of its machines can use more addresses than could ever be counted.
 */
export function clientNetwork(address: string): string {
  const [bare = ''] = address.split('%')
  if (!isIPv6(bare)) return address
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)?.[1]
  if (mapped !== undefined) return mapped
  const [head = [], tail] = bare.split('::').map((part) => (part === '' ? [] : part.split(':')))
  // An IPv4 address at the end takes the place of two groups.
  const rest = (tail ?? []).length + (bare.includes('.') ? 1 : 0)
  const zeros = tail === undefined ? [] : Array<string>(8 - head.length - rest).fill('0')
  const groups = [...head, ...zeros, ...(tail ?? [])].slice(0, 4)
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`
}
