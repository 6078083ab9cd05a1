/** From this length on, in bytes, memory is shared: bytes then cross to another thread without a copy. Below it, a copy costs less. */
const SHARED = 64 * 1024

/**
 * Allocates bytes to be written. They are not part of a pool, whose other parts would cross to a thread with them. Of large ones, what
 * is never written takes no memory.
 */
export function allocateOctets(length: number): Buffer {
  return length < SHARED ? Buffer.allocUnsafeSlow(length) : Buffer.from(new SharedArrayBuffer(length))
}

/** Copies bytes into memory of their own. */
export function copyOctets(...parts: readonly Uint8Array[]): Buffer {
  const octets = allocateOctets(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    octets.set(part, at)
    at += part.length
  }
  return octets
}

/** Returns a copy as plain bytes, as attachments have them everywhere: not as a Buffer. */
export function plainOctets(bytes: Uint8Array): Uint8Array {
  const { buffer, byteOffset, length } = copyOctets(bytes)
  return new Uint8Array(buffer, byteOffset, length)
}

const checked = new WeakSet<Uint8Array>()

/** Marks a finished message that was checked, and that nothing changes any more: `send()` need not check and copy it again. */
export function markChecked(octets: Uint8Array): Uint8Array {
  checked.add(octets)
  return octets
}

export function isChecked(octets: Uint8Array): boolean {
  return checked.has(octets)
}
