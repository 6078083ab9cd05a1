import XOAuth2 from 'nodemailer/lib/xoauth2'
import type { SmtpAuth } from '../../../src/wire/transports.js'

/** Keeps the access token of an account, and gets another in time: one for all connections of a transport. */
const generators = new WeakMap<SmtpAuth, XOAuth2>()

/** What nodemailer's login takes: a password, or for XOAUTH2 what gives access tokens. */
export function credentialsOf(
  auth: SmtpAuth,
): { user: string; pass: string } | { user: string; oauth2: XOAuth2 } {
  if ('pass' in auth) return { user: auth.user, pass: auth.pass }
  const known = generators.get(auth)
  if (known !== undefined) return { user: auth.user, oauth2: known }
  const oauth2 = new XOAuth2({ user: auth.user, ...auth.oauth2 })
  // Failures come back through the login; this event only repeats them.
  oauth2.on('error', () => undefined)
  generators.set(auth, oauth2)
  return { user: auth.user, oauth2 }
}
