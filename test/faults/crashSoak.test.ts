// Kills the process repeatedly while it sends to a slow server. `npm run test:faults` runs it in full, with SOAK_ROUNDS=20 and
// SOAK_MAILS=2000; SOAK_SEED repeats a run.
import path from 'node:path'
import { createMailer, type Message, type TransportInput } from 'threadpost'
import { expect, it, onTestFinished } from 'vitest'
import { copiesByMessageId } from '../support/copies.js'
import { folderOf } from '../support/folder.js'
import { testInbox } from '../support/mailer.js'
import { randomFrom } from '../support/random.js'
import { ScriptedServer } from '../support/scriptedServer.js'
import { SenderProcess } from '../support/senderProcess.js'

const ROUNDS = Number(process.env['SOAK_ROUNDS'] ?? 4)
const MAILS = Number(process.env['SOAK_MAILS'] ?? 400)
const SEED = Number(process.env['SOAK_SEED'] ?? Date.now() % 1_000_000)
/** Milliseconds that the server takes for each message. */
const SLOW = 20
const ENCRYPTED = { encryption: { keys: [Buffer.alloc(32, 7).toString('base64')] } }

interface SlowServer {
  transport: { url: string; pipelineDepth?: number; connections?: number }
  /** How often each message arrived. */
  copies: () => Map<string, number>
}

async function slowInbox(): Promise<SlowServer> {
  const inbox = await testInbox({ keep: 100_000, faults: [{ at: 'dot', do: 'delay', ms: SLOW }] })
  return { transport: { url: inbox.url }, copies: () => copiesByMessageId(inbox) }
}

/** A server that defers a message in five, so that the process also dies with messages that have earlier attempts. */
async function deferringInbox(): Promise<SlowServer> {
  const inbox = await testInbox({
    keep: 100_000,
    faults: [
      { at: 'rcpt', do: 'defer', probability: 0.2 },
      { at: 'dot', do: 'delay', ms: SLOW },
    ],
  })
  return { transport: { url: inbox.url }, copies: () => copiesByMessageId(inbox) }
}

/** A server with CHUNKING, to which each connection has eight messages in flight. */
async function slowChunkingServer(): Promise<SlowServer> {
  const server = await ScriptedServer.start({
    extensions: ['PIPELINING', 'CHUNKING', '8BITMIME'],
    bdat: async () => {
      await new Promise((resolve) => setTimeout(resolve, SLOW))
      return '250 2.0.0 taken'
    },
  })
  const copies = (): Map<string, number> => {
    const counts = new Map<string, number>()
    for (const { data } of server.messages) {
      const id = /^Message-ID: (\S+)/m.exec(data)?.[1] ?? ''
      counts.set(id, (counts.get(id) ?? 0) + 1)
    }
    return counts
  }
  return { transport: { url: `smtp://127.0.0.1:${server.port}`, pipelineDepth: 8, connections: 2 }, copies }
}

it.each([
  ['', slowInbox, {}],
  [', with eight messages in flight on a connection', slowChunkingServer, {}],
  [', encrypted and with earlier attempts', deferringInbox, ENCRYPTED],
])(
  `the SQLite queue loses no message over ${ROUNDS} kills%s (seed ${SEED})`,
  async (_, slowServer, queue) => {
    const random = randomFrom(SEED)
    const folder = await folderOf({})
    const file = path.join(folder, 'outbox.db')
    const server = await slowServer()
    const { transport } = server
    const receipts = new Map<string, string>()
    const share = Math.ceil(MAILS / ROUNDS)
    const pauses: number[] = []

    for (let round = 0; round < ROUNDS; round++) {
      const first = round * share
      const sender = new SenderProcess({
        file,
        url: transport.url,
        first,
        count: share,
        queue,
        options: { transport },
      })
      await sender.heard('ready')
      const lifetime = Math.floor(random() * share * SLOW * 0.2)
      pauses.push(lifetime)
      await sender.given(Math.floor(random() * share))
      await new Promise((resolve) => setTimeout(resolve, lifetime))
      await sender.kill()
      for (const [id, messageId] of sender.receipts) receipts.set(id, messageId)
    }

    // Sends refused or interrupted messages again with their keys, then waits until everything is settled.
    const last = new SenderProcess({
      file,
      url: transport.url,
      count: share * ROUNDS,
      queue,
      options: { transport },
    })
    await last.heard('all')
    for (const [id, messageId] of last.receipts) receipts.set(id, messageId)
    await last.end()
    const messages = await settled({ url: `sqlite:${file}`, ...queue }, transport, receipts.size)

    const copies = server.copies()
    const lost = [...receipts.values()].filter((messageId) => !copies.has(messageId))
    const doubled = messages.filter(({ messageId }) => (copies.get(messageId) ?? 0) > 1)
    const marked = messages.filter(({ uncertain }) => uncertain)
    console.log(
      `crash soak: seed ${SEED}, ${ROUNDS} kills, ${receipts.size} messages, ${lost.length} lost, ` +
        `${doubled.length} doubled, ${marked.length} marked uncertain`,
    )
    expect(receipts.size).toBe(share * ROUNDS)
    expect(messages).toHaveLength(share * ROUNDS)
    expect(lost).toEqual([])
    expect(messages.filter(({ status }) => status !== 'sent')).toEqual([])
    expect(doubled.filter(({ uncertain }) => !uncertain)).toEqual([])
    expect(doubled.length).toBeLessThanOrEqual(ROUNDS * 10)
    expect(Math.max(...copies.values())).toBeLessThanOrEqual(2 + ROUNDS)
    expect(messages.every(({ id, messageId }) => receipts.get(id) === messageId)).toBe(true)
  },
  1_200_000,
)

/** Opens the file until no message waits, and returns all messages. */
async function settled(queue: { url: string }, transport: TransportInput, count: number): Promise<Message[]> {
  const mailer = await createMailer({
    transport,
    from: 'hello@acme.example',
    queue,
    retry: { baseDelay: 100, factor: 1, jitter: 'none', attempts: 50 },
    retain: { count: 1_000_000 },
  })
  onTestFinished(() => mailer.close())
  const messages: Message[] = []
  let cursor: string | undefined
  do {
    const page = await mailer.list({ limit: 500, ...(cursor === undefined ? {} : { cursor }) })
    messages.push(...(await Promise.all(page.messages.map(({ id }) => mailer.wait(id)))))
    cursor = page.cursor
  } while (cursor !== undefined)
  const { accepted, sent } = await mailer.stats()
  expect({ accepted, sent }).toEqual({ accepted: count, sent: count })
  return messages
}
