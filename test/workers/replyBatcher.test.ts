import { once } from 'node:events'
import { MessageChannel } from 'node:worker_threads'
import { expect, onTestFinished, test } from 'vitest'
import type { LoadReply } from '../../src/protocol/tasks.js'
import { ReplyBatcher } from '../../workers/replyBatcher.js'

test('The bytes that a load function returned move to the main thread, which copies nothing', async () => {
  const { port1, port2 } = new MessageChannel()
  onTestFinished(() => port1.close())
  const replies = new ReplyBatcher(port1)
  const bytes = new Uint8Array([1, 2, 3])
  const attachments = [
    { filename: 'a.bin', content: bytes },
    { filename: 'b.txt', content: 'text' },
  ]
  const loaded: LoadReply = { result: 'loaded', value: { attachments }, ms: 1 }
  replies.expect(2)
  replies.reply({ id: 1, value: loaded })
  replies.reply({ id: 2, value: undefined })
  const [received] = (await once(port2, 'message')) as [{ value?: LoadReply }[]]
  expect(received[0]?.value?.value.attachments?.[0]?.content).toEqual(new Uint8Array([1, 2, 3]))
  expect(received).toHaveLength(2)
  expect(bytes.buffer.byteLength).toBe(0)
})
