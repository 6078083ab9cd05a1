import { expect, it } from 'vitest'
import { ScriptedServer, type Conversation } from '../../support/scriptedServer.js'
import { send, senderTo } from '../../support/smtpSender.js'

const base64 = (text: string): string => Buffer.from(text).toString('base64')

/** Reads the line that follows a prompt. */
async function lineAfter(prompt: string, conversation: Conversation): Promise<string> {
  conversation.socket.write(`${prompt}\r\n`)
  while (!conversation.input.includes('\r\n')) if (!(await conversation.more())) return ''
  const end = conversation.input.indexOf('\r\n')
  const line = conversation.input.slice(0, end)
  conversation.input = conversation.input.slice(end + 2)
  return line
}

it.each(['334', '334 ', '334 VXNlcm5hbWU6', '334-go\r\n334 on'])(
  'AUTH LOGIN accepts the prompt %j',
  async (prompt) => {
    const server = await ScriptedServer.start({
      extensions: ['PIPELINING', 'AUTH LOGIN'],
      auth: async (line, conversation) => {
        const [user, password] = [
          await lineAfter(prompt, conversation),
          await lineAfter(prompt, conversation),
        ]
        return line === 'AUTH LOGIN' && user === base64('ada') && password === base64('sécret')
          ? '235 2.7.0 welcome'
          : '535 5.7.8 no'
      },
    })
    const { outcome } = await send(senderTo(server.port, { auth: { user: 'ada', pass: 'sécret' } }, 1))
    expect(outcome).toEqual({ result: 'sent', code: 'OK' })
  },
)

it('AUTH LOGIN that is refused after the user name fails as a refused password', async () => {
  const server = await ScriptedServer.start({
    extensions: ['AUTH LOGIN'],
    auth: async (_, conversation) => {
      await lineAfter('334', conversation)
      return '535 5.7.8 no such user'
    },
  })
  const { outcome, message } = await send(senderTo(server.port, { auth: { user: 'ada', pass: 'x' } }, 1))
  expect(outcome).toEqual({ result: 'deferred', code: 'AUTH_FAILED' })
  expect(message).toBe('The server refused the credentials: 535 5.7.8 no such user')
  expect(server.conversations[0]?.commands).not.toContain(base64('x'))
})
