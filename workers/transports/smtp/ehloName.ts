import os from 'node:os'
import { toAsciiDomain } from '../../../src/protocol/addressForms.js'
import type { SmtpTransport } from '../../../src/protocol/transportConfig.js'

/**
 * The name to send in EHLO (RFC 5321 section 4.1.1.1): that of the transport, or else the domain of the first message's
 * sender as an A-label. Without either, it is the machine's bare name. It is never an address of this machine, which means nothing to the server.
 */
export function ehloNameFor({ ehloName }: SmtpTransport, sender = ''): string {
  if (ehloName !== undefined) return ehloName
  const domain = sender.includes('@') ? toAsciiDomain(sender.slice(sender.lastIndexOf('@') + 1)) : undefined
  if (domain !== undefined) return domain.toLowerCase()
  return os.hostname().replace(/[^A-Za-z0-9-]/g, '-') || 'localhost'
}
