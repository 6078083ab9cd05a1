import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, it } from 'vitest'
import { createAuthority } from '../../support/certificate.js'
import { startExim } from '../../support/exim.js'
import { folderOf } from '../../support/folder.js'
import { testMailer } from '../../support/mailer.js'
import { type MailServer, startPostfix } from '../../support/postfix.js'
import { send, senderTo } from '../../support/smtpSender.js'
import { describeWith } from '../../support/tools.js'

const ADA = 'ada@example.com'
const EVE = 'eve@example.com'
const NOBODY = 'nobody@example.com'
/** Recipients, taken in turn. */
const MIXES = [[ADA], [ADA, NOBODY], [NOBODY], [NOBODY, EVE, ADA]]
const ACCEPTED = 'accepted 250'
const UNKNOWN = 'rejected 550 5.1.1'

const idOf = (index: number): string => `<message-${index}@acme.example>`
const messageOf = (index: number): Buffer =>
  Buffer.from(
    `From: a@acme.example\r\nSubject: hi\r\nMessage-ID: ${idOf(index)}\r\n\r\n.dot\r\n..\r\nbye\r\n`,
  )

async function idsIn(server: MailServer, name: 'ada' | 'eve'): Promise<string[]> {
  const mails = await server.mailbox(name)
  return mails.map((mail) => /^Message-ID: (.*)$/im.exec(mail)?.[1] ?? 'none').toSorted()
}

const idsFor = (address: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => index)
    .filter((index) => MIXES[index % MIXES.length]?.includes(address))
    .map(idOf)
    .toSorted()

// Servers work only when root starts them.
const asRoot = it.skipIf(process.getuid?.() !== 0)

async function sendMixed(sender: ReturnType<typeof senderTo>, count: number): Promise<void> {
  const all = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      send(sender, { to: MIXES[index % MIXES.length] ?? [], bytes: messageOf(index) }),
    ),
  )
  for (const [index, { outcome, recipients }] of all.entries()) {
    const to = MIXES[index % MIXES.length] ?? []
    expect(
      recipients.map(({ address, result, reply }) =>
        [address, result, reply?.code, result === 'rejected' ? reply?.enhanced : undefined].join(' ').trim(),
      ),
    ).toEqual(to.map((address) => `${address} ${address === NOBODY ? UNKNOWN : ACCEPTED}`))
    expect(outcome.result).toBe(to.every((address) => address === NOBODY) ? 'rejected' : 'sent')
  }
}

async function expectDelivered(server: MailServer, count: number): Promise<void> {
  for (const [name, address] of [
    ['ada', ADA],
    ['eve', EVE],
  ] as const) {
    const expected = idsFor(address, count)
    await expect.poll(async () => (await server.mailbox(name)).length).toBe(expected.length)
    expect(await idsIn(server, name)).toEqual(expected)
  }
  for (const mail of await server.mailbox('eve')) expect(mail).toMatch(/\n\n\.dot\n\.\.\nbye\n$/)
}

describeWith(['postfix-master'], 'Postfix', (tools) => {
  asRoot.each([
    ['pipelined', 1],
    ['with eight in flight (CHUNKING)', 8],
    ['with as many in flight as the round trip needs', undefined],
  ])('tells each recipient apart and gets each message once, %s', async (_, pipelineDepth) => {
    // By itself it hangs up after twenty refusals on a connection.
    const limits = { smtpd_soft_error_limit: '1000', smtpd_hard_error_limit: '1000' }
    const postfix = await startPostfix(tools['postfix-master'], limits)
    await sendMixed(senderTo(postfix.port, pipelineDepth === undefined ? {} : { pipelineDepth }, 2), 200)
    await expectDelivered(postfix, 200)
    // Whether it answers yet was asked by connecting.
    expect(await postfix.log()).not.toMatch(
      /improper command pipelining|lost connection after (?!CONNECT)|fatal|panic/,
    )
  })

  asRoot('does so over STARTTLS', async () => {
    const authority = createAuthority()
    const { cert, key } = authority.issue('127.0.0.1')
    const folder = await folderOf({ 'cert.pem': cert })
    await writeFile(path.join(folder, 'key.pem'), key, { mode: 0o600 })
    const postfix = await startPostfix(tools['postfix-master'], {
      smtpd_tls_security_level: 'encrypt',
      smtpd_tls_cert_file: path.join(folder, 'cert.pem'),
      smtpd_tls_key_file: path.join(folder, 'key.pem'),
    })
    const trusting = { requireTLS: true, tls: { ca: authority.cert } }
    await sendMixed(senderTo(postfix.port, trusting, 2), 8)
    await expectDelivered(postfix, 8)
  })
})

describeWith(['exim-daemon'], 'Exim', (tools) => {
  asRoot.each([
    ['with eight in flight (CHUNKING)', 8],
    ['pipelined', 1],
  ])('tells each recipient apart and gets each message once, %s', async (_, pipelineDepth) => {
    const exim = await startExim(tools['exim-daemon'])
    await sendMixed(senderTo(exim.port, { pipelineDepth }, 2), 100)
    await expectDelivered(exim, 100)
    // It refuses input that it has not asked for yet.
    expect(await exim.log()).not.toMatch(/synchronization error|protocol violation|unexpected disconnection/)
  })

  asRoot('verifies both signatures of each message', async () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const ed25519 = generateKeyPairSync('ed25519')
    const pem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }) as string
    const spki = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' })
    const publicRsa = `v=DKIM1; k=rsa; p=${spki(rsa.publicKey).toString('base64')}`
    const publicEd25519 = `v=DKIM1; k=ed25519; p=${spki(ed25519.publicKey).subarray(-32).toString('base64')}`
    const exim = await startExim(tools['exim-daemon'], {
      'r._domainkey.acme.example': [[publicRsa.slice(0, 250), publicRsa.slice(250)]],
      'e._domainkey.acme.example': [[publicEd25519]],
    })
    const domain = 'acme.example'
    const mailer = await testMailer({
      from: 'Ácme <a@acme.example>',
      transport: {
        url: `smtp://127.0.0.1:${exim.port}`,
        dkim: [
          { domain, selector: 'r', privateKey: pem(rsa.privateKey) },
          { domain, selector: 'e', privateKey: pem(ed25519.privateKey) },
        ],
      },
    })
    const mails = [
      { subject: 'Hi', text: '.dot\n..\nbye\n\n\n' },
      {
        subject: 'Grüße',
        html: '<p>Ä 	 tab</p>',
        attachments: [{ filename: 'a.bin', content: Buffer.alloc(20_000, 7) }],
      },
      {
        raw: 'From: a@acme.example\r\nTo: ada@example.com\r\nSubject: raw\r\n\r\n',
        envelope: { from: 'a@acme.example', to: ADA },
      },
    ]
    const sent = await Promise.all(
      mails.map((mail) => mailer.sendAndWait('raw' in mail ? mail : { to: ADA, ...mail })),
    )
    expect(sent.map(({ status }) => status)).toEqual(['sent', 'sent', 'sent'])
    const verified = (await exim.log()).match(/dkim \w+ .*/g)?.map((line) => line.trim())
    expect(verified?.toSorted()).toEqual([
      ...mails.map(() => 'dkim pass acme.example ed25519-sha256'),
      ...mails.map(() => 'dkim pass acme.example rsa-sha256'),
    ])
  })
})
