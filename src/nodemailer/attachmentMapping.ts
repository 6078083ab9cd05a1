import { isUint8Array } from 'node:util/types'
import { detectExtension, detectMimeType } from 'nodemailer/lib/mime-funcs'
import type { Attachment } from '../index.js'
import { type Validator, isPlainObject, kindOf } from '../validation.js'
import { unsupported } from './refusal.js'

const BYTES =
  'Read it yourself and give the bytes as content: threadpost opens no file and fetches no address.'
const ENCODINGS = [
  'utf8',
  'utf-8',
  'ascii',
  'latin1',
  'binary',
  'base64',
  'hex',
  'utf16le',
  'utf-16le',
] as const
const KEYS = [
  'filename',
  'content',
  'encoding',
  'contentType',
  'cid',
  'contentDisposition',
  'contentTransferEncoding',
]

/** A part that is given as a string, as bytes, or as an object with either. */
export function textOf(value: unknown, path: string, check: Validator): string {
  if (typeof value === 'string') return value
  const content = isPlainObject(value) ? contentOf(value, path, check) : bytesOf(value, path, check)
  return typeof content === 'string' ? content : Buffer.from(content).toString('utf8')
}

export function attachmentsOf(value: unknown, check: Validator): Attachment[] {
  return check.array(value, 'attachments', Infinity).map((entry, index) => {
    const path = `attachments[${index}]`
    if (!isPlainObject(entry)) check.fail(path, `must be an object, got ${kindOf(entry)}`)
    return attachmentOf(entry, path, index, check)
  })
}

function attachmentOf(
  given: Record<string, unknown>,
  path: string,
  index: number,
  check: Validator,
): Attachment {
  if (given['headers'] !== undefined)
    unsupported(`${path}.headers`, 'An attachment has no headers of its own.')
  const content = contentOf(given, path, check)
  check.object(given, path, KEYS)
  const { contentType, cid, contentDisposition } = given
  const { filename = `attachment-${index + 1}.${extensionOf(contentType)}` } = given
  const inline = cid !== undefined && /^image\//i.test(typeOf(contentType, filename))
  if (contentDisposition !== undefined && contentDisposition !== (inline ? 'inline' : 'attachment'))
    unsupported(
      `${path}.contentDisposition`,
      'An image that has a cid is shown inline, everything else is attached.',
    )
  return {
    content,
    // The mailer checks what these hold.
    ...(filename === false ? {} : { filename: filename as string }),
    ...(contentType === undefined ? {} : { contentType: contentType as string }),
    ...(cid === undefined ? {} : { cid: cid as string }),
  }
}

/** What the mailer will say it is. */
function typeOf(contentType: unknown, filename: unknown): string {
  if (typeof contentType === 'string') return contentType
  return detectMimeType(typeof filename === 'string' ? filename : undefined)
}

function extensionOf(contentType: unknown): string {
  const extension = typeof contentType === 'string' ? detectExtension(contentType) : 'bin'
  // Of a type that may be anything.
  return extension === '*' ? 'bin' : extension
}

function contentOf(given: Record<string, unknown>, path: string, check: Validator): string | Uint8Array {
  for (const field of ['path', 'href', 'raw'])
    if (given[field] !== undefined) unsupported(`${path}.${field}`, BYTES)
  const { content, encoding } = given
  if (typeof content !== 'string') return bytesOf(content, `${path}.content`, check)
  if (encoding === undefined) return content
  return Buffer.from(content, check.oneOf(encoding, `${path}.encoding`, ENCODINGS))
}

function bytesOf(value: unknown, path: string, check: Validator): Uint8Array {
  if (isUint8Array(value)) return value
  if (typeof value === 'object' && value !== null && ('pipe' in value || 'getReader' in value))
    unsupported(path, 'A stream can be read once and an attempt may be repeated: give a string or a Buffer.')
  return check.fail(path, `must be a string or a Buffer, got ${kindOf(value)}`)
}
