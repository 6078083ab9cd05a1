/** The content of the trace field of a message (RFC 5321 section 4.4). */
export interface TraceSource {
  /** The name that the client gave in EHLO. */
  greeting: string
  /** The client's IP address. */
  address: string
  /** The name of this server. */
  server: string
  /** Such as `ESMTPSA` (RFC 3848, RFC 6531 section 4.3). */
  protocol: string
  id: string
  /** As in a Date field. */
  date: string
}

/** The Received field of this server, with its line break. A name that could end or comment out a part of it is left out. */
export function receivedField({ greeting, address, server, protocol, id, date }: TraceSource): string {
  const name = /^[\w.:[\]-]{1,255}$/.test(greeting) ? greeting : 'unknown'
  const literal = address.includes(':') ? `IPv6:${address}` : address
  return `Received: from ${name} ([${literal}])\r\n\tby ${server} with ${protocol} id ${id};\r\n\t${date}\r\n`
}

/** A date as in a Date field (RFC 5322 section 3.3), in UTC. */
export function mailDate(time: Date): string {
  return time.toUTCString().replace('GMT', '+0000')
}
