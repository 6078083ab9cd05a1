import { Resolver } from 'node:dns/promises'

/** Milliseconds that a DNS server has for the first answer; the second try waits twice as long. */
const LOOKUP_TIMEOUT = 1_500
/** Records of one name that are read, and characters of them that are quoted. */
const MAX_RECORDS = 200
const MAX_QUOTED = 100

/** A name that could not be looked up: nothing is known about its records. */
export class LookupFailure extends Error {}

/** Looks up records by DNS. A name without records has an empty list of them. */
export class Dns {
  readonly #resolver = new Resolver({ timeout: LOOKUP_TIMEOUT, tries: 2 })

  /** @throws TypeError if the server's address is not valid */
  constructor(server: string | undefined) {
    if (server !== undefined) this.#resolver.setServers([server])
  }

  async txt(name: string): Promise<string[]> {
    const records = await this.#found(name, 'TXT', () => this.#resolver.resolveTxt(name))
    return records.slice(0, MAX_RECORDS).map((strings) => strings.join(''))
  }

  /** Returns the TXT records of a name that begin with a version, such as `v=spf1`. */
  async versioned(name: string, version: string): Promise<string[]> {
    const pattern = new RegExp(`^v=${version}(?!\\w)`, 'i')
    return (await this.txt(name)).filter((text) => pattern.test(text))
  }

  /** Returns the servers of a domain, the preferred first. */
  async mx(name: string): Promise<string[]> {
    const records = await this.#found(name, 'MX', () => this.#resolver.resolveMx(name))
    return records.toSorted((a, b) => a.priority - b.priority).map(({ exchange }) => exchange)
  }

  async #found<T>(name: string, type: string, lookup: () => Promise<T[]>): Promise<T[]> {
    try {
      return await lookup()
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ENOTFOUND' || code === 'ENODATA') return []
      throw new LookupFailure(
        `${type} of ${quoted(name)} could not be looked up: ${REASONS[code ?? ''] ?? code ?? 'unknown error'}`,
      )
    }
  }
}

const REASONS: Record<string, string> = {
  ETIMEOUT: 'the DNS server does not answer',
  ECONNREFUSED: 'the DNS server refuses the connection',
  EREFUSED: 'the DNS server refuses the query',
  ESERVFAIL: 'the DNS server reports a failure',
  EBADRESP: 'the answer of the DNS server is not valid',
  EBADNAME: 'it is not a valid DNS name',
}

/** Text of others, without controls, which a terminal would obey. */
export function quoted(text: string): string {
  return text.slice(0, MAX_QUOTED).replace(/\p{C}/gu, '?')
}
