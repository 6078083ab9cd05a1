import { constants, type Stats } from 'node:fs'
import { type FileHandle, lstat, open, realpath } from 'node:fs/promises'
import path from 'node:path'
import { types } from 'node:util'
import { type Validator, isPlainObject } from '../validation.js'
import { ATTACHMENT_FIELDS } from './attachments.js'

/** The bounds of what may be read for one mail. */
export interface AttachmentSource {
  /** The only folder that `path` may name files in. */
  attachmentRoot?: string
  limits: { message: number; attachments: number }
}

/** Whether a mail has an attachment that must be read before the mail can be validated. */
export function readsAttachments(mail: unknown): mail is Record<string, unknown> {
  if (!isPlainObject(mail) || !Array.isArray(mail['attachments'])) return false
  return mail['attachments'].some((entry) => hasPath(entry) || hasStream(entry))
}

/**
 * Returns the mail with the files and streams of its attachments read into bytes, at most `limits.message` in all.
 * @throws ThreadpostError `INVALID_MESSAGE`
 */
export async function readAttachments(
  mail: Record<string, unknown>,
  source: AttachmentSource,
  check: Validator,
): Promise<Record<string, unknown>> {
  let left = source.limits.message
  const entries = check.array(mail['attachments'], 'attachments', source.limits.attachments)
  const attachments: unknown[] = []
  for (const [index, entry] of entries.entries()) {
    const at = `attachments[${index}]`
    if (!isPlainObject(entry) || !(hasPath(entry) || hasStream(entry))) {
      attachments.push(entry)
      continue
    }
    const { path: file, ...rest } = check.object(entry, at, ATTACHMENT_FIELDS)
    if (file !== undefined && rest['content'] !== undefined)
      check.fail(`${at}.path`, "can't be combined with content")
    const content = await (file === undefined
      ? readStream(rest['content'] as AsyncIterable<unknown>, left, `${at}.content`, check)
      : readFile(check.string(file, `${at}.path`, 4_096), left, source.attachmentRoot, `${at}.path`, check))
    left -= content.length
    const filename = file === undefined ? {} : { filename: path.basename(file as string) }
    attachments.push({ ...filename, ...rest, content })
  }
  return { ...mail, attachments }
}

function hasPath(entry: unknown): boolean {
  return isPlainObject(entry) && entry['path'] !== undefined
}

function hasStream(entry: unknown): boolean {
  if (!isPlainObject(entry)) return false
  const { content } = entry
  return (
    typeof content === 'object' &&
    content !== null &&
    !types.isUint8Array(content) &&
    Symbol.asyncIterator in content
  )
}

async function readStream(
  stream: AsyncIterable<unknown>,
  limit: number,
  at: string,
  check: Validator,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    // Leaving the loop early destroys the stream.
    for await (const chunk of stream) {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
      if (!types.isUint8Array(bytes)) check.fail(at, 'is a stream of something other than text or bytes')
      size += bytes.byteLength
      if (size > limit) break
      chunks.push(bytes)
    }
  } catch (error) {
    if (error instanceof Error && 'path' in error && error.path === at) throw error
    check.fail(at, `the stream failed: ${String((error as Error | undefined)?.message).slice(0, 100)}`)
  }
  if (size > limit) check.fail(at, `is larger than the ${limit} bytes that are left of limits.message`)
  return Buffer.concat(chunks)
}

/** Reads a file inside the root. Links are followed only if they stay inside. The file is opened once, and checked when it is open. */
async function readFile(
  file: string,
  limit: number,
  root: string | undefined,
  at: string,
  check: Validator,
): Promise<Uint8Array> {
  if (root === undefined)
    check.fail(at, 'needs the option attachmentRoot, the folder that files may be read from')
  if (file.includes('\0')) check.fail(at, 'contains a NUL character')
  const realRoot = await realpath(root).catch(() =>
    check.fail(at, 'the folder attachmentRoot does not exist'),
  )
  const wanted = path.resolve(realRoot, file)
  const real = await realpath(wanted).catch(() => check.fail(at, 'there is no such file in attachmentRoot'))
  if (!isInside(realRoot, real)) check.fail(at, 'is not inside attachmentRoot')
  // Without O_NONBLOCK, opening a named pipe would wait for a writer. Windows has neither flag; undefined counts as 0.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const handle = await open(real, flags).catch((error: unknown) =>
    check.fail(at, `can't be opened (${(error as NodeJS.ErrnoException).code ?? 'error'})`),
  )
  try {
    const stat = await handle.stat()
    if (!stat.isFile()) check.fail(at, 'is not a file')
    // A link may have been put in place between the two steps: the open file must be the one that was checked.
    if (!(await isSameFile(real, stat))) check.fail(at, 'was replaced while it was being opened')
    if (stat.size > limit) check.fail(at, `is larger than the ${limit} bytes that are left of limits.message`)
    return await readUpTo(handle, stat.size, limit, at, check)
  } finally {
    await handle.close()
  }
}

async function isSameFile(real: string, { ino, dev }: Stats): Promise<boolean> {
  const [again, now] = await Promise.all([realpath(real).catch(() => ''), lstat(real).catch(() => undefined)])
  return again === real && now?.ino === ino && now.dev === dev
}

function isInside(root: string, file: string): boolean {
  const relative = path.relative(root, file)
  const outside = relative === '..' || relative.startsWith(`..${path.sep}`) || path.isAbsolute(relative)
  return relative !== '' && !outside
}

/** Reads the whole file, and no more than the limit if it grows meanwhile. */
async function readUpTo(
  handle: FileHandle,
  size: number,
  limit: number,
  at: string,
  check: Validator,
): Promise<Uint8Array> {
  let bytes = Buffer.allocUnsafeSlow(Math.min(size, limit) + 1)
  let length = 0
  for (;;) {
    const { bytesRead } = await handle.read(bytes, length, bytes.length - length, length)
    if (bytesRead === 0) return bytes.subarray(0, length)
    length += bytesRead
    if (length > limit) check.fail(at, `is larger than the ${limit} bytes that are left of limits.message`)
    if (length === bytes.length) bytes = Buffer.concat([bytes, Buffer.allocUnsafeSlow(bytes.length)])
  }
}
