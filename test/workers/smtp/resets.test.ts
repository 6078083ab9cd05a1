import { describe, expect, it } from 'vitest'
import { CLOSE, ScriptedServer } from '../../support/scriptedServer.js'
import { send, senderTo } from '../../support/smtpSender.js'

/** Exim allows ten RSETs that don't follow a message that it took, and drops the connection at the next. */
const ALLOWED = 10
const ENOUGH = 8

const MODES: [name: string, extensions: string[], depth?: number][] = [
  ['pipelined', ['PIPELINING']],
  ['step by step', []],
  ['in chunks', ['PIPELINING', 'CHUNKING', '8BITMIME']],
  ['in chunks, eight in flight', ['PIPELINING', 'CHUNKING', '8BITMIME'], 8],
]

describe.each(MODES)('a server that counts RSETs, %s', (_, extensions, pipelineDepth) => {
  it.each([
    ['all', () => true],
    ['every other', (index: number) => index % 2 === 0],
    ['the first thirty', (index: number) => index < 30],
  ] as const)('never drops a connection whose messages it refuses: %s', async (_name, isRefused) => {
    const counted: number[] = []
    const turns: number[] = []
    const server = await ScriptedServer.start({
      extensions,
      rcpt: (line) => (line.includes('nobody') ? '550 5.1.1 nobody' : '250 ok'),
      rset: (_line, { index, turn }) => {
        const follows = turn > (turns[index] ?? 0)
        turns[index] = turn
        if (!follows) counted[index] = (counted[index] ?? 0) + 1
        return (counted[index] ?? 0) > ALLOWED ? CLOSE : '250 ok'
      },
    })
    const sender = senderTo(server.port, pipelineDepth === undefined ? {} : { pipelineDepth }, 1)
    const sent = await Promise.all(
      Array.from({ length: 40 }, (_each, index) =>
        send(sender, { to: [isRefused(index) ? `nobody${index}@example.com` : `m${index}@example.com`] }),
      ),
    )
    expect(sent.map(({ outcome }) => outcome.result)).toEqual(
      sent.map((_each, index) => (isRefused(index) ? 'rejected' : 'sent')),
    )
    expect(Math.max(...counted.filter(Boolean))).toBeLessThanOrEqual(ENOUGH)
    for (const { commands } of server.conversations.slice(0, -1)) expect(commands.at(-1)).toBe('QUIT')
  })
})
