import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { checkDomain, type RecordFinding } from '../../src/cli/domainRecords.js'
import { txtServer } from '../support/dnsServer.js'

const DOMAIN = 'acme.example'

function keyOf(type: 'rsa' | 'ed25519', bits = 2048): string {
  const { publicKey } =
    type === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: bits }) : generateKeyPairSync('ed25519')
  const der = publicKey.export({ type: 'spki', format: 'der' })
  return (type === 'rsa' ? der : der.subarray(-32)).toString('base64')
}

/** A record as its strings of at most 255 octets. */
function strings(text: string): string[] {
  return text.match(/.{1,255}/gs) ?? ['']
}

interface Zone {
  txt?: Record<string, string[]>
  mx?: string[]
  silent?: string[]
  garbage?: string[]
  selectors?: string[]
  host?: string
}

async function check({ txt = {}, mx, selectors = [], host, ...others }: Zone): Promise<RecordFinding[]> {
  const records = Object.entries(txt).map(([name, texts]) => [name, texts.map(strings)])
  const { address } = await txtServer(Object.fromEntries(records) as Record<string, string[][]>, {
    ...others,
    ...(mx === undefined ? {} : { mx: { [DOMAIN]: mx } }),
  })
  return checkDomain({ domain: DOMAIN, selectors, host, dnsServer: address })
}

async function findingOf(what: RecordFinding['what'], zone: Zone): Promise<RecordFinding> {
  const finding = (await check(zone)).find((each) => each.what === what)
  expect(finding).toBeDefined()
  return finding!
}

test('a domain with all records passes', async () => {
  const findings = await check({
    txt: {
      [DOMAIN]: ['v=spf1 include:sendgrid.net ip4:192.0.2.1 -all', 'some-site-verification=1'],
      'sendgrid.net': ['v=spf1 ip4:198.51.100.0/24 ~all'],
      [`s1._domainkey.${DOMAIN}`]: [`v=DKIM1; k=rsa; p=${keyOf('rsa')}`],
      [`s2._domainkey.${DOMAIN}`]: [`v=DKIM1; k=ed25519; p=${keyOf('ed25519')}`],
      [`_dmarc.${DOMAIN}`]: ['v=DMARC1; p=reject; rua=mailto:a@acme.example'],
      [`_mta-sts.${DOMAIN}`]: ['v=STSv1; id=1'],
    },
    mx: ['mx.acme.example'],
    selectors: ['s1', 's2'],
    host: 'smtp.sendgrid.net',
  })
  expect(findings.filter(({ ok, details }) => !ok || details !== undefined)).toEqual([])
  expect(findings.map(({ what }) => what)).toEqual([
    'spf',
    'dkim',
    'dkim',
    'dmarc',
    'mx',
    'mta-sts',
    'tls-rpt',
    'bimi',
  ])
  expect(findings.find(({ what }) => what === 'tls-rpt')?.says).toContain('It is optional')
})

test('a domain without records is told what to publish for its transport', async () => {
  const findings = await check({ host: 'email.eu-west-1.amazonaws.com', selectors: ['s1'] })
  expect(findings.filter(({ ok }) => !ok).map(({ what }) => what)).toEqual(['spf', 'dkim', 'dmarc', 'mx'])
  const details = findings.flatMap(({ details = [] }) => details).join(' ')
  expect(details).toContain('v=spf1 include:amazonses.com ~all')
  expect(details).toContain('v=DMARC1; p=none')
})

test.each<[problem: string, record: string[], others: Record<string, string[]>]>([
  ['has 2 SPF records', ['v=spf1 -all', 'v=spf1 ~all'], {}],
  ['lets every server send', ['v=spf1 +all'], {}],
  ['lets every server send', ['v=spf1 mx ALL'], {}],
  ['takes more than 10 lookups', [`v=spf1 ${'a '.repeat(11)}-all`], {}],
  ['takes more than 10 lookups', [`v=spf1 include:${DOMAIN} -all`], {}],
  [
    'takes more than 10 lookups',
    ['v=spf1 include:a.example include:a.example -all'],
    {
      'a.example': ['v=spf1 include:b.example include:b.example -all'],
      'b.example': ['v=spf1 a mx a a -all'],
    },
  ],
  ['includes nowhere.example, which has none', ['v=spf1 include:nowhere.example -all'], {}],
])('an SPF record that %s fails: %j', async (problem, record, others) => {
  const finding = await findingOf('spf', { txt: { [DOMAIN]: record, ...others } })
  expect(finding).toMatchObject({ ok: false, says: expect.stringContaining(problem) })
})

test.each<[record: string, hint: RegExp]>([
  ['v=spf1 ip4:192.0.2.1 ~all', /add include:spf\.mailjet\.com/],
  ['v=spf1 include:spf.mailjet.com', /ends without -all/],
])('an SPF record that could be better has a hint: %s', async (record, hint) => {
  const txt = { [DOMAIN]: [record], 'spf.mailjet.com': ['v=spf1 -all'] }
  const finding = await findingOf('spf', { txt, host: 'in-v3.mailjet.com' })
  expect(finding.ok).toBe(true)
  expect(finding.details?.join(' ')).toMatch(hint)
})

test.each<[problem: string, record: () => string]>([
  ['is revoked', () => 'v=DKIM1; p='],
  ['no valid rsa key', () => 'v=DKIM1; p=AAAA'],
  ['no valid ed25519 key', () => 'k=ed25519; p=AAAA'],
  ['no valid rsa key', () => `p=${keyOf('ed25519')}`],
  ['has no DKIM key', () => 'hello'],
  ['512 bits', () => `p=${keyOf('rsa', 512)}`],
])('a DKIM record that %s fails', async (problem, record) => {
  const txt = { [`s1._domainkey.${DOMAIN}`]: [record()] }
  const finding = await findingOf('dkim', { txt, selectors: ['s1'] })
  expect(finding).toMatchObject({ ok: false, says: expect.stringContaining(problem) })
})

test('a subdomain has the DMARC policy of its parent', async () => {
  const { address } = await txtServer({ '_dmarc.acme.example': [['v=DMARC1; p=none; sp=quarantine']] })
  const findings = await checkDomain({
    domain: 'news.acme.example',
    selectors: [],
    host: undefined,
    dnsServer: address,
  })
  expect(findings.find(({ what }) => what === 'dmarc')).toMatchObject({
    ok: true,
    says: '_dmarc.acme.example has the policy quarantine for news.acme.example.',
  })
  const invalid = { txt: { [`_dmarc.${DOMAIN}`]: ['v=DMARC1; p=perhaps'] } }
  expect((await findingOf('dmarc', invalid)).says).toContain('no valid policy')
})

test('a domain that accepts no mail fails', async () => {
  expect(await findingOf('mx', { mx: ['.'] })).toMatchObject({
    ok: false,
    says: expect.stringContaining('RFC 7505'),
  })
})

test('a DNS server that is silent, or answers with garbage or too much, is a finding', async () => {
  const findings = await check({
    txt: {
      [`default._bimi.${DOMAIN}`]: ['v=BIMI1; \u001b[31m', ...new Array<string>(100).fill('x'.repeat(250))],
    },
    silent: [DOMAIN],
    garbage: [`_dmarc.${DOMAIN}`],
  })
  const says = Object.fromEntries(findings.map(({ what, ok, says }) => [what, `${ok} ${says}`]))
  expect(says['spf']).toMatch(/^false .*does not answer.*Nothing is known/)
  expect(says['mx']).toMatch(/^false .*does not answer/)
  expect(says['dmarc']).toMatch(/^false .*could not be looked up/)
  expect(Object.values(says).join('')).not.toContain('\u001b')
})
