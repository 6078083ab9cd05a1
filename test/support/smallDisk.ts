import { spawnSync } from 'node:child_process'
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { it, onTestFinished } from 'vitest'

/** A folder on a disk of so many megabytes, or undefined where that may not be mounted. */
export async function smallDisk(megabytes: number): Promise<string | undefined> {
  const folder = await mkdtemp(path.join(tmpdir(), 'threadpost-disk-'))
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder])
  onTestFinished(async () => {
    if (status === 0) spawnSync('umount', ['-l', folder])
    await rm(folder, { recursive: true, force: true })
  })
  return status === 0 ? folder : undefined
}

/**
 * Adds a test with a folder on a disk of so many megabytes. The test is skipped where that can't be mounted.
 * @param test `fill()` fills the disk with a file, and returns the path of that file
 */
export function itOnSmallDisk(
  title: string,
  megabytes: number,
  test: (folder: string, fill: () => Promise<string>) => Promise<void>,
): void {
  it(title, async (context) => {
    const folder = await smallDisk(megabytes)
    if (folder === undefined) return context.skip('a small disk can only be mounted by root')
    const ballast = path.join(folder, 'ballast')
    await test(folder, async () => {
      await fillUp(ballast)
      return ballast
    })
  })
}

/** Writes into this file until the disk has no byte left. */
export async function fillUp(file: string): Promise<void> {
  const handle = await open(file, 'w')
  try {
    for (const size of [64 * 1024, 1]) await fillWith(handle, Buffer.alloc(size))
  } finally {
    await handle.close()
  }
}

async function fillWith(handle: FileHandle, chunk: Buffer): Promise<void> {
  try {
    for (;;) await handle.write(chunk)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
}
