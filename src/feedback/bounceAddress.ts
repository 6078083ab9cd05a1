import { parseAddress } from '../message/addresses.js'
import { splitAddress } from '../protocol/addressForms.js'
import { resolveSecrets, sign } from '../signedTokens.js'
import type { Validator } from '../validation.js'

/** Where bounces go, so that each can be assigned to its message. */
export interface BounceOptions {
  /** Address that receives bounces and supports `+` tags. @example 'bounces@acme.example' */
  address: string
  /** At least 16 characters that sign the tags. Of a list, the first signs, and all are accepted. */
  secret: string | readonly string[]
}

export interface BouncePlan {
  local: string
  domain: string
  secrets: readonly string[]
}

const PURPOSE = 'bounce'
/** Bytes of an id, and of a signature. */
const ID = 16
const SIGNATURE = 10
/** Characters of a token: base32 in lower case, because some servers change the case of a local part. */
const LENGTH = Math.ceil(((ID + SIGNATURE) * 8) / 5)
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'
/** Octets of a local part (RFC 5321 section 4.5.3.1.1). */
const MAX_LOCAL = 64

export function resolveBounces(check: Validator, value: unknown): BouncePlan {
  const { address, secret } = check.object(value, 'bounces', ['address', 'secret'])
  const { local, domain } = splitAddress(parseAddress(address, 'bounces.address', check))
  if (Buffer.byteLength(local) + 1 + LENGTH > MAX_LOCAL || !/^[\w.-]+$/.test(local))
    check.fail(
      'bounces.address',
      `the part before the @ must have at most ${MAX_LOCAL - 1 - LENGTH} letters, digits, dots, and dashes`,
    )
  return { local, domain, secrets: resolveSecrets(check, secret, 'bounces.secret') }
}

/** The reverse-path of a message (VERP): `bounces+TOKEN@acme.example`, where the token is the signed id. */
export function bounceAddress({ local, domain, secrets }: BouncePlan, id: string): string {
  return `${local}+${tokenOf(secrets[0]!, id)}@${domain}`
}

/** The id of the message whose reverse-path an address is; undefined if it is none, or isn't signed by us. */
export function idInBounceAddress(
  { local, domain, secrets }: BouncePlan,
  address: string,
): string | undefined {
  const { local: whole, domain: at } = splitAddress(address)
  const lower = whole.toLowerCase()
  const token = lower.slice(local.length + 1)
  if (at.toLowerCase() !== domain.toLowerCase() || token.length !== LENGTH) return undefined
  if (!lower.startsWith(`${local.toLowerCase()}+`)) return undefined
  const bytes = decode(token)
  if (bytes === undefined) return undefined
  const hex = bytes.toString('hex', 0, ID)
  const id = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join(
    '-',
  )
  return secrets.map((secret) => same(tokenOf(secret, id), token)).includes(true) ? id : undefined
}

function tokenOf(secret: string, id: string): string {
  const signature = Buffer.from(sign(secret, PURPOSE, id), 'base64url').subarray(0, SIGNATURE)
  return encode(Buffer.concat([Buffer.from(id.replaceAll('-', ''), 'hex'), signature]))
}

/** Compares in a time that doesn't depend on where the texts differ. */
function same(a: string, b: string): boolean {
  let difference = a.length ^ b.length
  for (let index = 0; index < a.length; index++) difference |= a.charCodeAt(index) ^ b.charCodeAt(index)
  return difference === 0
}

/** Base32 (RFC 4648 section 6) in lower case, without padding. */
function encode(bytes: Buffer): string {
  let text = ''
  let bits = 0
  let value = 0
  for (const byte of bytes) {
    value = (value << 8) | byte
    bits += 8
    while (bits >= 5) {
      text += ALPHABET[(value >>> (bits - 5)) & 31]!
      bits -= 5
    }
    value &= 0xff
  }
  return bits === 0 ? text : text + ALPHABET[(value << (5 - bits)) & 31]!
}

function decode(text: string): Buffer | undefined {
  const bytes: number[] = []
  let bits = 0
  let value = 0
  for (const character of text) {
    const digit = ALPHABET.indexOf(character)
    if (digit < 0) return undefined
    value = ((value << 5) | digit) & 0xfff
    bits += 5
    if (bits < 8) continue
    bytes.push((value >>> (bits - 8)) & 0xff)
    bits -= 8
  }
  return Buffer.from(bytes)
}
