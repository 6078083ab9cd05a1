import { expect, test } from 'vitest'
import { isShared, releaseBlock } from '../../src/protocol/sharedBlock.js'
import type { MessagePayload } from '../../src/protocol/tasks.js'
import { LoadedBlocks, withOwnOctets } from '../../workers/loading/loadedBlocks.js'

const SIZE = 100_000

function share(blocks: LoadedBlocks, size: number, fill = 0): Uint8Array {
  const value = { attachments: [{ content: new Uint8Array(size).fill(fill) }] }
  return blocks.share(value).attachments?.[0]?.content as Uint8Array
}

test('A block contains the bytes of one value until it is released, and is then used again', () => {
  const blocks = new LoadedBlocks()
  const first = share(blocks, SIZE, 1)
  const second = share(blocks, SIZE - 1, 2)
  expect([first, second]).toEqual([new Uint8Array(SIZE).fill(1), new Uint8Array(SIZE - 1).fill(2)])
  releaseBlock(first)
  const third = share(blocks, SIZE, 3)
  expect(third.buffer).toBe(first.buffer)
  expect(second).toEqual(new Uint8Array(SIZE - 1).fill(2))
})

test('Bytes keep their memory if they are few, too many for a block, or no block is left', () => {
  const blocks = new LoadedBlocks()
  expect([100, 8 * 1024, 2 ** 21, 2 ** 21 + 1].map((size) => isShared(share(blocks, size)))).toEqual([
    false,
    true,
    true,
    false,
  ])
  const inUse = Array.from({ length: 20 }, () => share(blocks, 2 ** 21))
  expect(inUse.filter(isShared)).toHaveLength(14)
  expect(inUse.every(({ length }) => length === 2 ** 21)).toBe(true)
})

test('A thread delivers a copy, which the next user of the block does not change', () => {
  const content = share(new LoadedBlocks(), SIZE, 1)
  const attachments = [
    { content, size: SIZE },
    { content: 'text', size: 4 },
  ]
  const own = withOwnOctets({ attachments } as unknown as MessagePayload).attachments
  content.fill(2)
  expect(own).toEqual([
    { content: new Uint8Array(SIZE).fill(1), size: SIZE },
    { content: 'text', size: 4 },
  ])
  expect(own[0]?.content).toHaveProperty('buffer', expect.any(ArrayBuffer))
})
