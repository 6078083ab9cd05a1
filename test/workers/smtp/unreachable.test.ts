import { createServer, type AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import type { SmtpTimeouts } from '../../../src/protocol/transportConfig.js'
import { CLOSE, ScriptedServer, type Script, SILENCE, drip } from '../../support/scriptedServer.js'
import { send, senderTo } from '../../support/smtpSender.js'

describe('a server that can not be reached', () => {
  // The limit that must expire is short; none of the others is reached.
  const failures: [string, Script, Partial<SmtpTimeouts>?][] = [
    ['is silent instead of greeting', { greeting: () => SILENCE }, { greeting: 60 }],
    ['drips its greeting', { greeting: () => drip }, { greeting: 60, connect: 60, handshake: 60 }],
    ['refuses at once', { greeting: () => '554 5.7.1 no' }],
    ['has no time', { greeting: () => '421 4.3.2 later' }],
    ['is no mail server', { greeting: () => 'SSH-2.0-OpenSSH_9.2' }],
    ['closes instead of greeting', { greeting: () => CLOSE }],
    ['is silent at EHLO', { ehlo: () => SILENCE }, { handshake: 60 }],
    ['drips at EHLO', { ehlo: () => drip }, { greeting: 60, connect: 60, handshake: 60 }],
    ['closes at EHLO', { ehlo: () => CLOSE }],
    ['says too much at EHLO', { ehlo: () => '250-x\r\n'.repeat(30_000) }],
  ]

  it.each(failures)('%s', async (_, script, timeouts = {}) => {
    const server = await ScriptedServer.start(script)
    const sender = senderTo(server.port, { timeouts }, 1)
    const all = await Promise.all([send(sender), send(sender)])
    for (const { outcome, recipients } of all) {
      expect(outcome).toEqual({ result: 'deferred', code: 'CONNECTION_FAILED' })
      expect(recipients).toEqual([])
    }
    expect(server.messages).toEqual([])
  })

  it('because nobody listens: all that wait hear of it, and a later one tries again', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    await new Promise((resolve) => server.close(resolve))
    const sender = senderTo(port)
    const [first, second] = await Promise.all([send(sender), send(sender)])
    expect(first.message).toContain('ECONNREFUSED')
    expect([first, second].map(({ outcome }) => outcome.code)).toEqual([
      'CONNECTION_FAILED',
      'CONNECTION_FAILED',
    ])
    expect((await send(sender)).outcome.code).toBe('CONNECTION_FAILED')
  })

  it('because its name is not known', async () => {
    const { outcome } = await send(senderTo(25, { host: 'nowhere.invalid' }))
    expect(outcome).toEqual({ result: 'deferred', code: 'CONNECTION_FAILED' })
  })

  it('within the time of the attempt', async () => {
    const server = await ScriptedServer.start({ greeting: () => SILENCE })
    const { outcome } = await send(senderTo(server.port), { limit: 30 })
    expect(outcome).toEqual({ result: 'deferred', code: 'CONNECTION_FAILED' })
  })

  it('a second time: the waiting wait for the connection that works', async () => {
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

describe('saying goodbye while something is under way', () => {
  it('waits for it', async () => {
    let take: () => void = () => undefined
    const asked = new Promise<void>((resolve) => {
      take = resolve
    })
    let answer: (reply: string) => void = () => undefined
    const server = await ScriptedServer.start({
      dot: () => {
        take()
        return new Promise<string>((resolve) => (answer = resolve))
      },
    })
    const sender = senderTo(server.port)
    const sending = send(sender)
    await asked
    const gone = sender.quit()
    answer('250 ok')
    expect((await sending).outcome.result).toBe('sent')
    await gone
    expect(server.conversations[0]?.commands.at(-1)).toBe('QUIT')
  })

  it('ends it when it takes too long', async () => {
    let take: () => void = () => undefined
    const asked = new Promise<void>((resolve) => (take = resolve))
    const server = await ScriptedServer.start({
      dot: () => {
        take()
        return SILENCE
      },
    })
    const sender = senderTo(server.port, {}, 1)
    const sending = [send(sender), send(sender), send(sender)]
    await asked
    await sender.quit()
    const codes = (await Promise.all(sending)).map(({ outcome }) => outcome.code)
    expect(codes).toEqual(['REPLY_LOST', 'CONNECTION_CLOSED', 'CONNECTION_CLOSED'])
  })
})
