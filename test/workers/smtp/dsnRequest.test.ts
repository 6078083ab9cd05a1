import { describe, expect, it } from 'vitest'
import { testMailer } from '../../support/mailer.js'
import { ScriptedServer } from '../../support/scriptedServer.js'

const bounces = { address: 'bounces@acme.example', secret: 'a-secret-of-sixteen-or-more' }

/** The envelope's commands that a server with these extensions receives. */
async function envelopeFor(
  extensions: string[],
  mail: object = {},
  dsn = true,
): Promise<{ id: string; commands: string[] }> {
  const server = await ScriptedServer.start({ extensions })
  const mailer = await testMailer({ transport: { url: `smtp://127.0.0.1:${server.port}`, dsn }, bounces })
  const { id } = await mailer.sendAndWait({ to: 'a+d=a@example.com', subject: 'Hi', text: 'Hi', ...mail })
  const commands = server.conversations.flatMap(({ commands: all }) =>
    all.filter((line) => /^(?:MAIL|RCPT)/.test(line)),
  )
  return { id, commands }
}

describe('dsn: true', () => {
  it('asks a server that offers DSN for notifications that name the message and the recipient', async () => {
    const { id, commands } = await envelopeFor(['PIPELINING', 'DSN'])
    expect(commands).toEqual([
      expect.stringMatching(
        new RegExp(`^MAIL FROM:<bounces\\+[a-z2-7]{42}@acme\\.example> RET=HDRS ENVID=${id}$`),
      ),
      'RCPT TO:<a+d=a@example.com> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;a+2Bd+3Da@example.com',
    ])
  })

  it.each([
    ['the server offers no DSN', ['PIPELINING'], {}, true],
    ['the transport has no dsn', ['PIPELINING', 'DSN'], {}, false],
    ['there is no reverse-path', ['PIPELINING', 'DSN'], { envelope: { from: '' } }, true],
  ])('asks for nothing if %s', async (_, extensions, mail, dsn) => {
    const { commands } = await envelopeFor(extensions, mail, dsn)
    expect(commands.join('\n')).not.toMatch(/NOTIFY|ENVID/)
  })
})
