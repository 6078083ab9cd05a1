import { describe, expect, it } from 'vitest'
import type { SmtpTimeouts } from '../../../src/protocol/transportConfig.js'
import { freePort } from '../../support/ports.js'
import { CLOSE, ScriptedServer, type Script, SILENCE, drip } from '../../support/scriptedServer.js'
import { send, senderTo } from '../../support/smtpSender.js'

describe('a transport is unreachable', () => {
  // The limit that must expire is short; the others never expire.
  const failures: [string, Script, Partial<SmtpTimeouts>?][] = [
    ['sends no greeting', { greeting: () => SILENCE }, { greeting: 60 }],
    [
      'sends its greeting in single bytes',
      { greeting: () => drip },
      { greeting: 60, connect: 60, handshake: 60 },
    ],
    ['refuses in its greeting', { greeting: () => '554 5.7.1 no' }],
    ['is busy', { greeting: () => '421 4.3.2 later' }],
    ['is not a mail server', { greeting: () => 'SSH-2.0-OpenSSH_9.2' }],
    ['closes the connection before its greeting', { greeting: () => CLOSE }],
    ['does not answer EHLO', { ehlo: () => SILENCE }, { handshake: 60 }],
    ['answers EHLO in single bytes', { ehlo: () => drip }, { greeting: 60, connect: 60, handshake: 60 }],
    ['closes the connection at EHLO', { ehlo: () => CLOSE }],
    ['answers EHLO with too many lines', { ehlo: () => '250-x\r\n'.repeat(30_000) }],
  ]

  it.each(failures)('if its server %s', async (_, script, timeouts = {}) => {
    const server = await ScriptedServer.start(script)
    const sender = senderTo(server.port, { timeouts }, 1)
    const all = await Promise.all([send(sender), send(sender)])
    for (const { outcome, recipients } of all) {
      expect(outcome).toEqual({ result: 'deferred', code: 'CONNECTION_FAILED' })
      expect(recipients).toEqual([])
    }
    expect(server.messages).toEqual([])
  })

  it('if no server listens: all waiting messages are deferred, and a later one tries again', async () => {
    const port = await freePort()
    const sender = senderTo(port)
    const [first, second] = await Promise.all([send(sender), send(sender)])
    expect(first.message).toContain('ECONNREFUSED')
    expect([first, second].map(({ outcome }) => outcome.code)).toEqual([
      'CONNECTION_FAILED',
      'CONNECTION_FAILED',
    ])
    expect((await send(sender)).outcome.code).toBe('CONNECTION_FAILED')
  })

  it('if its host name does not exist', async () => {
    const { outcome } = await send(senderTo(25, { host: 'nowhere.invalid' }))
    expect(outcome).toEqual({ result: 'deferred', code: 'CONNECTION_FAILED' })
  })

  it('if the attempt ends before its greeting', async () => {
    const server = await ScriptedServer.start({ greeting: () => SILENCE })
    const { outcome } = await send(senderTo(server.port), { limit: 30 })
    expect(outcome).toEqual({ result: 'deferred', code: 'CONNECTION_FAILED' })
  })

  it('only for further connections, if one works: waiting messages use that one', async () => {
    const server = await ScriptedServer.start({
      greeting: (_, { index }) => (index > 0 ? '421 4.7.0 too many connections' : '220 hi'),
      dot: async () => {
        await new Promise((resolve) => setTimeout(resolve, 15))
        return '250 ok'
      },
    })
    const sender = senderTo(server.port)
    const all = await Promise.all(Array.from({ length: 8 }, () => send(sender)))
    expect(all.map(({ outcome }) => outcome.result)).toEqual(all.map(() => 'sent'))
    expect(server.conversations.length).toBeGreaterThan(1)
  })
})

describe('quit() while a message is being sent', () => {
  it('waits for the reply', async () => {
    let begin: () => void = () => undefined
    const begun = new Promise<void>((resolve) => (begin = resolve))
    let answer: (reply: string) => void = () => undefined
    const server = await ScriptedServer.start({
      dot: () => {
        begin()
        return new Promise<string>((resolve) => (answer = resolve))
      },
    })
    const sender = senderTo(server.port)
    const sending = send(sender)
    await begun
    const quit = sender.quit()
    answer('250 ok')
    expect((await sending).outcome.result).toBe('sent')
    await quit
    expect(server.conversations[0]?.commands.at(-1)).toBe('QUIT')
  })

  it('closes the connection when the reply takes too long', async () => {
    let begin: () => void = () => undefined
    const begun = new Promise<void>((resolve) => (begin = resolve))
    const server = await ScriptedServer.start({
      dot: () => {
        begin()
        return SILENCE
      },
    })
    const sender = senderTo(server.port, {}, 1)
    const sending = [send(sender), send(sender), send(sender)]
    await begun
    await sender.quit()
    const codes = (await Promise.all(sending)).map(({ outcome }) => outcome.code)
    expect(codes).toEqual(['REPLY_LOST', 'CONNECTION_CLOSED', 'CONNECTION_CLOSED'])
  })
})
