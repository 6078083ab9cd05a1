import { createPublicKey, type KeyObject } from 'node:crypto'
import dns from 'node:dns/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { DkimKey, DkimReport } from '../protocol/transportConfig.js'

/** Milliseconds until a lookup counts as failed. */
const LOOKUP_TIMEOUT = 5_000

/** Looks up TXT records, each as its strings, as `dns.resolveTxt` does. */
export type TxtLookup = (name: string) => Promise<string[][]>

/**
 * Compares a DKIM key with the public key in the DNS (RFC 6376 section 3.6.1), which is what receivers verify signatures
 * with. Never rejects.
 */
export async function checkDkimRecord(key: DkimKey, lookup: TxtLookup = dns.resolveTxt): Promise<DkimReport> {
  const { domain, selector } = key
  const name = `${selector}._domainkey.${domain}`
  const publicKey = createPublicKey(key.privateKey)
  const problem = await lookUp(lookup, name).then(
    (records) => problemOf(records, publicKey),
    (error: unknown) => lookupProblem(error),
  )
  const report = { domain, selector, name }
  if (problem === undefined) return { ...report, ok: true, message: `${name} has the public key.` }
  const remedy = problem.publish ? ` Publish this TXT record: ${recordOf(publicKey)}` : ''
  return { ...report, ok: false, message: `${name} ${problem.text}.${remedy}` }
}

interface Problem {
  /** Completes a sentence that starts with the record's name. */
  text: string
  /** Whether the remedy is to publish the record. */
  publish: boolean
}

async function lookUp(lookup: TxtLookup, name: string): Promise<string[]> {
  const timer = new AbortController()
  const timeout = delay(LOOKUP_TIMEOUT, undefined, { signal: timer.signal }).then(() => {
    throw Object.assign(new Error('no answer'), { code: 'ETIMEOUT' })
  })
  try {
    const records = await Promise.race([lookup(name), timeout])
    return records.map((strings) => strings.join(''))
  } finally {
    timeout.catch(() => undefined)
    timer.abort()
  }
}

function lookupProblem(error: unknown): Problem {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOTFOUND' || code === 'ENODATA'
    ? { text: 'does not exist, so receivers ignore the signatures', publish: true }
    : { text: `could not be looked up (${code ?? 'unknown error'})`, publish: false }
}

/** @param records the TXT records of the key's name */
function problemOf(records: readonly string[], publicKey: KeyObject): Problem | undefined {
  const keys = records
    .map(parseTags)
    .filter((tags) => tags.has('p') && (tags.get('v') ?? 'DKIM1') === 'DKIM1')
  if (keys.length === 0) return { text: 'has no DKIM key record', publish: true }
  if (keys.length > 1)
    return {
      text: `has ${keys.length} key records, and receivers may use any of them: keep only one`,
      publish: false,
    }
  const [tags] = keys
  return tags === undefined ? undefined : mismatch(tags, publicKey)
}

function mismatch(tags: ReadonlyMap<string, string>, publicKey: KeyObject): Problem | undefined {
  const published = tags.get('p') ?? ''
  if (published === '') return { text: 'says that the key is revoked (p= is empty)', publish: true }
  const type = tags.get('k') ?? 'rsa'
  if (type !== publicKey.asymmetricKeyType)
    return {
      text: `is for a key of type ${quote(type)}, not ${publicKey.asymmetricKeyType ?? ''}`,
      publish: true,
    }
  const hashes = tags.get('h')?.split(':')
  if (hashes !== undefined && !hashes.includes('sha256'))
    return { text: 'does not allow SHA-256 (h=), which every signature uses', publish: true }
  const services = tags.get('s')?.split(':')
  if (services !== undefined && !services.includes('*') && !services.includes('email'))
    return { text: 'is not meant for mail (s=)', publish: true }
  if (published !== encoded(publicKey)) return { text: 'has another public key', publish: true }
  return undefined
}

/** Parses a tag list (RFC 6376 section 3.2). White space is removed: none of the tags that are read may contain any. */
export function parseTags(record: string): Map<string, string> {
  return new Map(
    record.split(';').map((tag) => {
      const equals = tag.indexOf('=')
      return [tag.slice(0, Math.max(0, equals)).trim(), tag.slice(equals + 1).replace(/\s/g, '')]
    }),
  )
}

function recordOf(publicKey: KeyObject): string {
  return `v=DKIM1; k=${publicKey.asymmetricKeyType ?? ''}; p=${encoded(publicKey)}`
}

/** The value of `p=`: for RSA a SubjectPublicKeyInfo (RFC 6376), for Ed25519 the bare 32 octets (RFC 8463 section 4.2). */
function encoded(publicKey: KeyObject): string {
  const der = publicKey.export({ type: 'spki', format: 'der' })
  return (publicKey.asymmetricKeyType === 'ed25519' ? der.subarray(-32) : der).toString('base64')
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 20))
}
