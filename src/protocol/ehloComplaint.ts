import type { SmtpReply } from './outcome.js'

/** Whether a server's reply complains about the name that the client sent in EHLO. */
export function complainsAboutEhlo(reply: SmtpReply | undefined): boolean {
  return reply !== undefined && reply.code >= 400 && /\b(?:EHLO|HELO)\b/i.test(reply.text)
}

/** The action to take, as the end of a sentence. */
export function ehloHint(ehloName: string): string {
  return `threadpost introduced itself as "${ehloName}"; set the transport's ehloName to a name that the server accepts`
}
