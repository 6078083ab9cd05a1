import { createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { type Checker, isPlainObject } from '../check.js'
import type { DkimKey } from '../wire/transports.js'

/** A key that signs what goes out (DKIM, RFC 6376): give its PEM, or the file that holds it. */
export interface DkimOptions {
  /** The domain that signs, as in `d=`. */
  domain: string
  /** Where its public key is: `SELECTOR._domainkey.DOMAIN`. */
  selector: string
  /** An RSA key as PEM. @default that of `keyFile` */
  privateKey?: string
  /** Path of a file that holds it. @default that of `privateKey` */
  keyFile?: string
}

/** One key, or an array of them. Reads files, and checks that each key can sign. */
export function resolveDkim(check: Checker, value: unknown, path: string): DkimKey[] {
  const list = isPlainObject(value) ? [value] : check.array(value, path, 10)
  return list.map((entry, index) => keyOf(check, entry, isPlainObject(value) ? path : `${path}[${index}]`))
}

function keyOf(check: Checker, value: unknown, path: string): DkimKey {
  const given = check.object(value, path, ['domain', 'selector', 'privateKey', 'keyFile'])
  const domain = check.string(given['domain'], `${path}.domain`, 255)
  const selector = check.string(given['selector'], `${path}.selector`, 255)
  for (const [key, name] of [
    ['domain', domain],
    ['selector', selector],
  ] as const)
    if (!/^[\w-]+(?:\.[\w-]+)*$/.test(name))
      check.fail(`${path}.${key}`, 'is not a domain name, or part of one')
  if ((given['privateKey'] === undefined) === (given['keyFile'] === undefined))
    check.fail(`${path}.privateKey`, 'give either privateKey, as PEM, or keyFile')
  const privateKey =
    given['keyFile'] === undefined
      ? check.string(given['privateKey'], `${path}.privateKey`, 16_384)
      : readKey(check, check.string(given['keyFile'], `${path}.keyFile`), `${path}.keyFile`)
  checkKey(check, privateKey, path)
  return { domain, selector, privateKey }
}

function readKey(check: Checker, file: string, path: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    return check.fail(path, `can't be read: ${(error as Error).message}`)
  }
}

/** Its message never repeats the key. */
function checkKey(check: Checker, pem: string, path: string): void {
  let type: string | undefined
  try {
    type = createPrivateKey(pem).asymmetricKeyType
  } catch {
    check.fail(`${path}.privateKey`, 'is not a private key in PEM form without a passphrase')
  }
  if (type !== 'rsa') check.fail(`${path}.privateKey`, `must be an RSA key, got ${type ?? 'another'}`)
}
