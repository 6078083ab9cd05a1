/** The additions of real deployments to a message and its session: TLS, a DKIM signature, and a login. */
import { generateKeyPairSync } from 'node:crypto'
import type { TransportOptions } from '../index.js'
import { createAuthority } from './certificate.js'
import { type Service, startService } from './processes.js'

export const DKIM_ALGORITHMS = ['rsa', 'ed25519'] as const
export type DkimAlgorithm = (typeof DKIM_ALGORITHMS)[number]

/** The additions that the user chose. */
export interface SecurityChoice {
  tls: boolean
  auth: boolean
  dkim?: DkimAlgorithm
}

/** The same, with the keys that a measured process needs. */
export interface Security {
  /** Certificate of the authority that signed the front's certificate, as PEM. */
  ca?: string
  auth?: { user: string; pass: string }
  dkim?: { algorithm: DkimAlgorithm; key: { domain: string; selector: string; privateKey: string } }
}

/** Creates what does not depend on the server: the key of the signature, and the name of the login. */
export function createSecurity({ dkim, auth }: SecurityChoice): Security {
  return {
    ...(auth ? { auth: { user: 'bench', pass: 'bench' } } : {}),
    ...(dkim === undefined
      ? {}
      : {
          dkim: {
            algorithm: dkim,
            key: { domain: 'bench.example', selector: 'bench', privateKey: newKey(dkim) },
          },
        }),
  }
}

function newKey(algorithm: DkimAlgorithm): string {
  const { privateKey } =
    algorithm === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ed25519')
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

/** Starts a process that terminates TLS before a server on loopback. */
export async function startTlsFront(port: number): Promise<{ front: Service; ca: string }> {
  const authority = createAuthority()
  const front = await startService('./tlsFront.js', ['127.0.0.1', `${port}`], authority.issue('127.0.0.1'))
  return { front, ca: authority.cert }
}

/** Returns the transport of a mailer for a server with this security. */
export function transportOf(url: string, { ca, auth, dkim }: Security): TransportOptions {
  return {
    url: withLogin(url, auth),
    ...(ca === undefined ? {} : { tls: { ca } }),
    ...(dkim === undefined ? {} : { dkim: dkim.key }),
  }
}

export function withLogin(url: string, auth: Security['auth']): string {
  if (auth === undefined) return url
  const location = new URL(url)
  location.username = auth.user
  location.password = auth.pass
  return location.href.replace(/\/$/, '')
}

/** Describes the security for the conditions of a report; undefined without any. */
export function describeSecurity({ tls, auth, dkim }: SecurityChoice): string | undefined {
  const parts = [
    tls && 'over TLS (terminated by a process of its own)',
    auth && 'with a login',
    dkim !== undefined && `signed with DKIM (${dkim === 'rsa' ? 'RSA, 2048 bits' : 'Ed25519'})`,
  ].filter((part) => part !== false)
  return parts.length === 0 ? undefined : parts.join(', ')
}
