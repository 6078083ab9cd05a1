import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * Starts a server. Resolves once it accepts connections.
 * @param port 0 selects any free port
 * @returns the server's URL: `http://127.0.0.1:3000`
 */
export async function listen(server: Server, port: number, host: string): Promise<string> {
  server.listen(port, host)
  await once(server, 'listening')
  return urlOf('http', server.address() as AddressInfo)
}

export function urlOf(scheme: string, { address, port, family }: AddressInfo): string {
  return `${scheme}://${family === 'IPv6' ? `[${address}]` : address}:${port}`
}
