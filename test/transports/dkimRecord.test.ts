import { execFile } from 'node:child_process'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import path from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { checkDkimRecord } from '../../src/transports/dkimRecord.js'
import { txtServer } from '../support/dnsServer.js'
import { folderOf } from '../support/folder.js'
import { testInbox } from '../support/mailer.js'
import { environment, main } from '../support/serve.js'

const NAME = 'mail._domainkey.acme.example'
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ed25519 = generateKeyPairSync('ed25519')
const pem = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' }).toString()
const rsaPublic = rsa.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')
const edPublic = ed25519.publicKey.export({ type: 'spki', format: 'der' }).subarray(-32).toString('base64')
const key = (privateKey: KeyObject) => ({
  domain: 'acme.example',
  selector: 'mail',
  privateKey: pem(privateKey),
})
/** As strings of at most 255 octets (RFC 1035 section 3.3.14). */
const inStrings = (text: string) => text.match(/[^]{1,255}/g) ?? ['']

describe('the DNS record of a DKIM key', () => {
  it.each([
    ['an RSA key', rsa.privateKey, `v=DKIM1; k=rsa; p=${rsaPublic}`],
    ['an RSA key without k= and v=', rsa.privateKey, `p=${rsaPublic}`],
    [
      'a key with spaces and further tags',
      rsa.privateKey,
      `v = DKIM1;t=y; h=sha1:sha256; s=email; n=hi; p = ${rsaPublic.slice(0, 60)} ${rsaPublic.slice(60)};`,
    ],
    ['an Ed25519 key', ed25519.privateKey, `v=DKIM1; k=ed25519; p=${edPublic}`],
  ])('matches if it has %s', async (_, privateKey, record) => {
    const { lookup } = await txtServer({ [NAME]: [inStrings('v=spf1 -all'), inStrings(record)] })
    expect(await checkDkimRecord(key(privateKey), lookup)).toEqual({
      domain: 'acme.example',
      selector: 'mail',
      name: NAME,
      ok: true,
      message: `${NAME} has the public key.`,
    })
  })

  it.each([
    ['does not exist', [], /does not exist/],
    ['is another kind of record', ['v=spf1 -all'], /has no DKIM key record/],
    ['is of another version', [`v=DKIM2; p=${rsaPublic}`], /has no DKIM key record/],
    ['is revoked', ['v=DKIM1; p='], /revoked/],
    ['has another key', [`v=DKIM1; p=${rsaPublic.replace(/.{8}$/, 'AAAAIDAQ')}`], /has another public key/],
    ['has a key of another type', [`v=DKIM1; k=ed25519; p=${edPublic}`], /"ed25519", not rsa/],
    ['does not allow SHA-256', [`v=DKIM1; h=sha1; p=${rsaPublic}`], /SHA-256/],
    ['is for another service', [`v=DKIM1; s=other; p=${rsaPublic}`], /not meant for mail/],
  ])('is reported if it %s, with the record to publish', async (_, records, problem) => {
    const { lookup } = await txtServer(records.length === 0 ? {} : { [NAME]: records.map(inStrings) })
    const report = await checkDkimRecord(key(rsa.privateKey), lookup)
    expect(report).toMatchObject({ ok: false, message: expect.stringMatching(problem) as string })
    expect(report.message).toContain(`Publish this TXT record: v=DKIM1; k=rsa; p=${rsaPublic}`)
    expect(report.message).not.toContain('PRIVATE')
  })

  it('is reported if there are two', async () => {
    const { lookup } = await txtServer({ [NAME]: [inStrings(`p=${rsaPublic}`), inStrings('p=AAAA')] })
    const { ok, message } = await checkDkimRecord(key(rsa.privateKey), lookup)
    expect({ ok, message }).toMatchObject({
      ok: false,
      message: expect.stringContaining('2 key records') as string,
    })
  })

  it('is reported as not looked up if the DNS fails, without advice to publish it', async () => {
    const refused = () => Promise.reject(Object.assign(new Error('x'), { code: 'ESERVFAIL' }))
    const { ok, message } = await checkDkimRecord(key(rsa.privateKey), refused)
    expect({ ok, message }).toEqual({ ok: false, message: `${NAME} could not be looked up (ESERVFAIL).` })
  })

  it('is checked by the doctor', async () => {
    const inbox = await testInbox()
    const folder = await folderOf({ 'key.pem': pem(rsa.privateKey) })
    const doctor = async (records: Record<string, string[][]>) => {
      const { address } = await txtServer(records)
      const preload = `import dns from 'node:dns'; dns.setServers(['${address}'])`
      const args = [
        '--import',
        `data:text/javascript,${encodeURIComponent(preload)}`,
        main,
        'doctor',
        '--json',
      ]
      const run = promisify(execFile)(
        process.execPath,
        [...args, '--transport', inbox.url, '--dkim', `acme.example:mail:${path.join(folder, 'key.pem')}`],
        { env: environment },
      )
      const { stdout } = await run.catch((error: unknown) => error as { stdout: string })
      return (JSON.parse(stdout) as { what: string; ok: boolean }[]).find(({ what }) => what === 'dkim')
    }
    expect(await doctor({ [NAME]: [inStrings(`v=DKIM1; p=${rsaPublic}`)] })).toMatchObject({ ok: true })
    expect(await doctor({})).toMatchObject({ ok: false, says: expect.stringContaining(rsaPublic) as string })
  })
})
