import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, it } from 'vitest'
import { createAuthority } from '../../support/certificate.js'
import { folderOf } from '../../support/folder.js'
import { startPostfix, type Postfix } from '../../support/postfix.js'
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

async function idsIn(postfix: Postfix, name: 'ada' | 'eve'): Promise<string[]> {
  const mails = await postfix.mailbox(name)
  return mails.map((mail) => /^Message-ID: (.*)$/im.exec(mail)?.[1] ?? 'none').toSorted()
}

const idsFor = (address: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => index)
    .filter((index) => MIXES[index % MIXES.length]?.includes(address))
    .map(idOf)
    .toSorted()

// Postfix itself works only when root starts it.
describeWith(['postfix-master'], 'Postfix', (tools) => {
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
          [address, result, reply?.code, result === 'rejected' ? reply?.enhanced : undefined]
            .join(' ')
            .trim(),
        ),
      ).toEqual(to.map((address) => `${address} ${address === NOBODY ? UNKNOWN : ACCEPTED}`))
      expect(outcome.result).toBe(to.every((address) => address === NOBODY) ? 'rejected' : 'sent')
    }
  }

  async function expectDelivered(postfix: Postfix, count: number): Promise<void> {
    for (const [name, address] of [
      ['ada', ADA],
      ['eve', EVE],
    ] as const) {
      const expected = idsFor(address, count)
      await expect.poll(async () => (await postfix.mailbox(name)).length).toBe(expected.length)
      expect(await idsIn(postfix, name)).toEqual(expected)
    }
    for (const mail of await postfix.mailbox('eve')) expect(mail).toMatch(/\n\n\.dot\n\.\.\nbye\n$/)
  }

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
