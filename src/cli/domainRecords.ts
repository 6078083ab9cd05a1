import { createPublicKey, type KeyObject } from 'node:crypto'
import { parseTags } from '../transports/dkimRecord.js'
import { Dns, LookupFailure, quoted } from './dnsLookups.js'

/** Result of one lookup, with what to publish. */
export interface RecordFinding {
  what: 'spf' | 'dkim' | 'dmarc' | 'mx' | 'mta-sts' | 'tls-rpt' | 'bimi'
  ok: boolean
  /** One sentence. */
  says: string
  /** Further lines. */
  details?: string[]
}

export interface DomainCheck {
  /** As A-labels, in lower case. */
  domain: string
  /** Names of the DKIM keys. */
  selectors: readonly string[]
  /** Host of the transport; undefined if it is not known. */
  host: string | undefined
  /** Address of a DNS server, with an optional port. @default those of the system */
  dnsServer: string | undefined
}

/** Lookups that the evaluation of an SPF record may make (RFC 7208 section 4.6.4). */
const MAX_SPF_LOOKUPS = 10
/** Senders by a part of their host, with the SPF mechanism that their documentation names. */
const SENDERS: readonly (readonly [host: RegExp, name: string, spf: string])[] = [
  [/(^|\.)sendgrid\.(net|com)$/, 'SendGrid', 'include:sendgrid.net'],
  [/(^|\.)amazonaws\.com$/, 'Amazon SES', 'include:amazonses.com'],
  [/(^|\.)mailgun\.(org|net)$/, 'Mailgun', 'include:mailgun.org'],
  [/(^|\.)postmarkapp\.com$/, 'Postmark', 'include:spf.mtasv.net'],
  [/(^|\.)resend\.com$/, 'Resend', 'include:amazonses.com'],
  [/(^|\.)brevo\.com$/, 'Brevo', 'include:spf.brevo.com'],
  [/(^|\.)mailjet\.com$/, 'Mailjet', 'include:spf.mailjet.com'],
  [/(^|\.)(office365|outlook|microsoft)\.com$/, 'Microsoft 365', 'include:spf.protection.outlook.com'],
  [/(^|\.)(gmail|google)\.com$/, 'Google', 'include:_spf.google.com'],
]

type Answer = Omit<RecordFinding, 'what'>

/** Looks up the records by which receivers judge the mail of a domain. A failure of the DNS is a finding. */
export async function checkDomain(check: DomainCheck): Promise<RecordFinding[]> {
  const { domain, selectors, host, dnsServer } = check
  const dns = new Dns(dnsServer)
  const find = async (what: RecordFinding['what'], answer: Promise<Answer>): Promise<RecordFinding> => {
    try {
      return { what, ...(await answer) }
    } catch (error) {
      if (!(error instanceof LookupFailure)) throw error
      return { what, ok: false, says: `${error.message}. Nothing is known about this record.` }
    }
  }
  return Promise.all([
    find('spf', checkSpf(dns, domain, host)),
    ...selectors.map((selector) => find('dkim', checkDkim(dns, domain, selector))),
    ...(selectors.length === 0 ? [find('dkim', Promise.resolve(NO_SELECTOR))] : []),
    find('dmarc', checkDmarc(dns, domain)),
    find('mx', checkMx(dns, domain)),
    find(
      'mta-sts',
      checkOptional(dns, `_mta-sts.${domain}`, 'STSv1', 'requires TLS for mail to this domain'),
    ),
    find('tls-rpt', checkOptional(dns, `_smtp._tls.${domain}`, 'TLSRPTv1', 'asks for reports of failed TLS')),
    find('bimi', checkOptional(dns, `default._bimi.${domain}`, 'BIMI1', 'names a logo for the inbox')),
  ])
}

async function checkSpf(dns: Dns, domain: string, host = ''): Promise<Answer> {
  const [, sender, mechanism] = SENDERS.find(([pattern]) => pattern.test(host)) ?? []
  const example = `v=spf1 ${mechanism ?? 'ip4:ADDRESS-OF-YOUR-SERVER'} ~all`
  const publish = `Publish this TXT record at ${domain}: ${example}`
  const records = await dns.versioned(domain, 'spf1')
  const [record = ''] = records
  if (records.length === 0)
    return { ok: false, says: `${domain} has no SPF record (RFC 7208).`, details: [publish] }
  if (records.length > 1)
    return {
      ok: false,
      says: `${domain} has ${records.length} SPF records: receivers ignore all of them. Keep only one.`,
    }
  const { lookups, includes, missing } = await evaluate(dns, record)
  const says = `${domain} has the SPF record ${quoted(record)}.`
  if (lookups > MAX_SPF_LOOKUPS)
    return {
      ok: false,
      says: `The SPF record of ${domain} takes more than ${MAX_SPF_LOOKUPS} lookups: receivers ignore it. Remove an include.`,
    }
  if (missing !== undefined)
    return {
      ok: false,
      says: `${says} It includes ${quoted(missing)}, which has none, so receivers ignore this record.`,
    }
  const terms = termsOf(record)
  if (terms.some((term) => /^\+?all$/i.test(term)))
    return {
      ok: false,
      says: `${says} Its +all lets every server send for this domain. Replace it with ~all.`,
    }
  const details: string[] = []
  if (!terms.some((term) => /^([-~?]all|redirect=.+)$/i.test(term)))
    details.push('It ends without -all or ~all: receivers treat other servers as neutral.')
  if (mechanism !== undefined && !includes.has(mechanism.slice('include:'.length)))
    details.push(
      `If the reverse-path of mail through ${sender ?? ''} is at ${domain}, add ${mechanism}. If the service uses a return path of its own, publish its records at that name.`,
    )
  if (mechanism === undefined && host !== '')
    details.push(
      `It must name the servers that send to the internet: ${host}, or the server that it relays to.`,
    )
  return { ok: true, says, ...(details.length === 0 ? {} : { details }) }
}

function termsOf(record: string): string[] {
  return record
    .slice(0, 10_000)
    .split(' ')
    .slice(1)
    .filter((term) => term !== '')
}

/** The DNS lookups and findings of the evaluation of an SPF record. */
interface SpfEvaluation {
  lookups: number
  /** The domains that it includes. */
  includes: Set<string>
  /** An included domain without an SPF record. */
  missing?: string
}

/** Follows the includes of a record, up to one more lookup than allowed. */
async function evaluate(
  dns: Dns,
  record: string,
  result: SpfEvaluation = { lookups: 0, includes: new Set() },
): Promise<SpfEvaluation> {
  for (const term of termsOf(record)) {
    const [, name = '', target = ''] =
      /^[-+~?]?(include:|redirect=|exists:|(?:a|mx|ptr)(?![\w.-]))(.*)$/i.exec(term) ?? []
    if (name === '') continue
    result.lookups++
    if (result.lookups > MAX_SPF_LOOKUPS) break
    const domain = target.toLowerCase().replace(/\.$/, '')
    // A macro depends on the message.
    if (!/^(include:|redirect=)$/i.test(name) || domain === '' || domain.includes('%')) continue
    result.includes.add(domain)
    const [included] = await dns.versioned(domain, 'spf1')
    if (included === undefined) result.missing ??= domain
    else await evaluate(dns, included, result)
  }
  return result
}

const NO_SELECTOR: Answer = {
  ok: true,
  says: 'No key was looked up: name its selector with --dkim-selector. Every DKIM-Signature header contains the selector as s=.',
}

async function checkDkim(dns: Dns, domain: string, selector: string): Promise<Answer> {
  const name = `${selector}._domainkey.${domain}`
  const keys = (await dns.txt(name)).map(parseTags).filter((tags) => tags.has('p'))
  const [tags] = keys
  if (tags === undefined)
    return {
      ok: false,
      says: `${name} has no DKIM key (RFC 6376).`,
      details: ['Publish the TXT or CNAME record that the service, or the signing server, gives you.'],
    }
  if (keys.length > 1) return { ok: false, says: `${name} has ${keys.length} keys. Keep only one.` }
  const published = tags.get('p') ?? ''
  if (published === '') return { ok: false, says: `${name} says that the key is revoked (p= is empty).` }
  const type = tags.get('k') ?? 'rsa'
  const key = publicKeyOf(type, published)
  if (key === undefined) return { ok: false, says: `${name} has no valid ${quoted(type)} key in p=.` }
  const bits = key.asymmetricKeyDetails?.modulusLength
  if (bits !== undefined && bits < 1024)
    return { ok: false, says: `${name} has an RSA key of ${bits} bits: receivers ignore it (RFC 8301).` }
  const details: string[] = []
  if (bits !== undefined && bits < 2048) details.push('RFC 8301 recommends an RSA key of 2048 bits.')
  if (tags.get('t')?.split(':').includes('y') === true)
    details.push('It is marked as a test (t=y): receivers may ignore its signatures.')
  return {
    ok: true,
    says: `${name} has ${bits === undefined ? 'an Ed25519 key' : `an RSA key of ${bits} bits`}.`,
    ...(details.length === 0 ? {} : { details }),
  }
}

/** The start of the structure of an Ed25519 key (RFC 8410): a DNS record has only its 32 octets. */
const ED25519_START = Buffer.from('302a300506032b6570032100', 'hex')

function publicKeyOf(type: string, published: string): KeyObject | undefined {
  const octets = Buffer.from(published, 'base64')
  const key = type === 'ed25519' ? Buffer.concat([ED25519_START, octets]) : octets
  try {
    const parsed = createPublicKey({ key, format: 'der', type: 'spki' })
    return parsed.asymmetricKeyType === type ? parsed : undefined
  } catch {
    return undefined
  }
}

async function checkDmarc(dns: Dns, domain: string): Promise<Answer> {
  const labels = domain.split('.')
  for (let from = 0; from === 0 || from < labels.length - 1; from++) {
    const name = `_dmarc.${labels.slice(from).join('.')}`
    const records = await dns.versioned(name, 'DMARC1')
    const [record] = records
    if (record === undefined) continue
    if (records.length > 1)
      return { ok: false, says: `${name} has ${records.length} DMARC records: receivers ignore all of them.` }
    const tags = parseTags(record)
    const policy = (from > 0 ? tags.get('sp') : undefined) ?? tags.get('p') ?? ''
    if (!/^(none|quarantine|reject)$/i.test(policy))
      return { ok: false, says: `${name} has no valid policy: p= must be none, quarantine, or reject.` }
    const details: string[] = []
    if (policy.toLowerCase() === 'none')
      details.push('Once the reports show that all mail passes, continue with p=quarantine.')
    if (!tags.has('rua')) details.push(`Without rua=mailto:…, nobody receives reports about ${domain}.`)
    return {
      ok: true,
      says: `${name} has the policy ${policy.toLowerCase()} for ${domain}.`,
      ...(details.length === 0 ? {} : { details }),
    }
  }
  return {
    ok: false,
    says: `${domain} has no DMARC record (RFC 7489).`,
    details: [
      `Publish this TXT record at _dmarc.${domain}: v=DMARC1; p=none; rua=mailto:dmarc-reports@${domain}`,
    ],
  }
}

async function checkMx(dns: Dns, domain: string): Promise<Answer> {
  const servers = await dns.mx(domain)
  if (servers.length === 0)
    return {
      ok: false,
      says: `${domain} has no MX record.`,
      details: ['Without one, bounces and replies to this domain may not arrive.'],
    }
  if (servers.every((name) => name === '' || name === '.'))
    return { ok: false, says: `${domain} accepts no mail (RFC 7505): replies and bounces can't arrive.` }
  const shown = servers.slice(0, 5).map(quoted).join(', ')
  return { ok: true, says: `${domain} receives mail at ${shown}${servers.length > 5 ? ', …' : ''}.` }
}

async function checkOptional(dns: Dns, name: string, version: string, purpose: string): Promise<Answer> {
  const records = await dns.versioned(name, version)
  if (records.length > 1)
    return { ok: false, says: `${name} has ${records.length} records: receivers ignore all of them.` }
  return {
    ok: true,
    says:
      records[0] === undefined
        ? `${name} does not exist. It is optional: it ${purpose}.`
        : `${name} has the record ${quoted(records[0])}.`,
  }
}
