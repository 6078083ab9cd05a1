import { addressKey, domainKey, toAsciiDomain } from '../protocol/addressForms.js'
import type { Validator } from '../validation.js'

/**
 * Addresses and domains: `ada@acme.example`, `acme.example` or `@acme.example` for every address of a domain, and
 * `*.acme.example` for its subdomains. Letter case doesn't matter.
 */
export class AddressList {
  readonly #addresses = new Set<string>()
  readonly #domains = new Set<string>()
  readonly #suffixes: string[] = []

  constructor(entries: readonly unknown[], path: string, check: Validator) {
    entries.forEach((entry, index) => {
      const at = `${path}[${index}]`
      const text = check.string(entry, at, 320).trim().toLowerCase()
      if (text.lastIndexOf('@') > 0) this.#addresses.add(keyOf(text))
      else if (text.startsWith('*.')) this.#suffixes.push(`.${domainOf(text.slice(2), at, check)}`)
      else this.#domains.add(domainOf(text.replace(/^@/, ''), at, check))
    })
  }

  has(address: string): boolean {
    if (this.#addresses.has(keyOf(address))) return true
    // Some servers of c.example relay a%b.example@c.example and b.example!a@c.example to b.example (RFC 1123 section 5.2.16).
    if (/[%!]/.test(address.slice(0, address.lastIndexOf('@')))) return false
    const domain = domainKey(address)
    return this.#domains.has(domain) || this.#suffixes.some((suffix) => domain.endsWith(suffix))
  }
}

function keyOf(address: string): string {
  return addressKey(address).toLowerCase()
}

function domainOf(text: string, path: string, check: Validator): string {
  const domain = toAsciiDomain(text)
  if (domain === undefined)
    check.fail(path, "must be an address, a domain such as 'acme.example', or '*.acme.example'")
  return domain.toLowerCase()
}
