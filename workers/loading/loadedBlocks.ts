import { isShared, SharedBlock } from '../../src/protocol/sharedBlock.js'
import type {
  JobAttachment,
  LoadedAttachment,
  LoadedValue,
  MessagePayload,
} from '../../src/protocol/tasks.js'

/** Octets from which on an attachment is put into shared memory. Fewer are copied for less. */
const SMALLEST = 8 * 1024
/** Octets of the largest block. */
const LARGEST = 2 * 2 ** 20
/** Octets of all blocks of a thread together, which it keeps for as long as it lives. */
const MAX_TOTAL = 32 * 2 ** 20

/** A thread's blocks of shared memory for what `load` functions return. The size of each is a power of 2. */
export class LoadedBlocks {
  readonly #bySize = new Map<number, SharedBlock[]>()
  #total = 0

  /**
   * Returns the value with the bytes of its attachments in blocks, which the main thread releases. Bytes stay where they are
   * if a block isn't worth it or none is left; they are then moved to the main thread: see `ReplyBatcher`.
   */
  share(value: LoadedValue): LoadedValue {
    const { attachments } = value
    return attachments === undefined
      ? value
      : { ...value, attachments: attachments.map((attachment) => this.#shared(attachment)) }
  }

  #shared(attachment: LoadedAttachment): LoadedAttachment {
    const { content } = attachment
    if (!(content instanceof Uint8Array)) return attachment
    const octets = this.#take(content.length)
    if (octets === undefined) return attachment
    octets.set(content)
    return { ...attachment, content: octets }
  }

  #take(length: number): Uint8Array | undefined {
    if (length < SMALLEST || length > LARGEST) return undefined
    const size = 2 ** Math.ceil(Math.log2(length))
    const blocks = this.#bySize.get(size) ?? []
    for (const block of blocks) {
      const octets = block.take(length)
      if (octets !== undefined) return octets
    }
    if (this.#total + size > MAX_TOTAL) return undefined
    const block = new SharedBlock(size)
    blocks.push(block)
    this.#bySize.set(size, blocks)
    this.#total += size
    return block.take(length)
  }
}

/** Returns the payload with attachments in memory of their own: the main thread may release their blocks while a transport reads them. */
export function withOwnOctets(payload: MessagePayload): MessagePayload {
  const { attachments } = payload
  if (!attachments.some(hasSharedOctets)) return payload
  return { ...payload, attachments: attachments.map(withOwnContent) }
}

function withOwnContent(attachment: JobAttachment): JobAttachment {
  return hasSharedOctets(attachment)
    ? { ...attachment, content: new Uint8Array(attachment.content) }
    : attachment
}

function hasSharedOctets(attachment: JobAttachment): attachment is JobAttachment & { content: Uint8Array } {
  return typeof attachment.content !== 'string' && isShared(attachment.content)
}
