import { createSign, generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto'
import { isIP } from 'node:net'

/** A new certificate (RFC 5280), as PEM. */
export interface Certificate {
  cert: string
  key: string
}

export interface Authority extends Certificate {
  /** Issues a certificate for a host name or an IPv4 address, valid for a day, or expired an hour ago; or without a common name. */
  issue(host: string, options?: { expired?: boolean; rsa?: boolean; nameless?: boolean }): Certificate
}

/** Creates a certificate authority. */
export function createAuthority(): Authority {
  const name = 'Test Authority'
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const sign = (request: Pick<Request, 'subject' | 'key' | 'host' | 'expired'>): string =>
    certificate({ issuer: name, signer: keys.privateKey, ...request })
  return {
    cert: sign({ subject: name, key: keys.publicKey }),
    key: pemOf(keys.privateKey),
    issue(host, { expired = false, rsa = false, nameless = false } = {}) {
      const own = rsa
        ? generateKeyPairSync('rsa', { modulusLength: 2048 })
        : generateKeyPairSync('ec', { namedCurve: 'P-256' })
      return {
        cert: sign({ subject: nameless ? '' : host, host, key: own.publicKey, expired }),
        key: pemOf(own.privateKey),
      }
    },
  }
}

interface Request {
  issuer: string
  subject: string
  key: KeyObject
  signer: KeyObject
  expired?: boolean
  /** Absent for an authority. */
  host?: string
}

const HOUR = 3_600_000
const ECDSA_WITH_SHA256 = sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02))

function certificate({ issuer, subject, key, signer, expired = false, host }: Request): string {
  const now = Date.now()
  const from = expired ? now - 2 * HOUR : now - HOUR
  const body = sequence(
    tagged(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ECDSA_WITH_SHA256,
    nameOf(issuer),
    sequence(time(from), time(expired ? now - HOUR : now + 24 * HOUR)),
    nameOf(subject),
    key.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(host === undefined ? authorityExtension() : hostExtension(host))),
  )
  const signature = createSign('SHA256').update(body).sign(signer)
  const whole = sequence(body, ECDSA_WITH_SHA256, der(0x03, Buffer.concat([Buffer.from([0]), signature])))
  const lines = whole.toString('base64').replace(/.{64}/g, '$&\n')
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`
}

function authorityExtension(): Buffer {
  const critical = der(0x01, Buffer.from([0xff]))
  return sequence(oid(0x55, 0x1d, 0x13), critical, der(0x04, sequence(critical)))
}

function hostExtension(host: string): Buffer {
  const name =
    isIP(host) === 4 ? der(0x87, Buffer.from(host.split('.').map(Number))) : der(0x82, Buffer.from(host))
  return sequence(oid(0x55, 0x1d, 0x11), der(0x04, sequence(name)))
}

function nameOf(commonName: string): Buffer {
  if (commonName === '') return sequence()
  return sequence(der(0x31, sequence(oid(0x55, 0x04, 0x03), der(0x0c, Buffer.from(commonName)))))
}

function time(at: number): Buffer {
  const text = new Date(at)
    .toISOString()
    .replace(/[-:T]|\.\d+/g, '')
    .slice(2)
  return der(0x17, Buffer.from(text))
}

function oid(...octets: number[]): Buffer {
  return der(0x06, Buffer.from(octets))
}

function sequence(...parts: Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts))
}

function tagged(tag: number, content: Buffer): Buffer {
  return der(tag, content)
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString()
}
