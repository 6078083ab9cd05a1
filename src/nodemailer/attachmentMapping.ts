import { isUint8Array } from 'node:util/types'
import { detectExtension, detectMimeType } from 'nodemailer/lib/mime-funcs'
import type { Attachment } from '../index.js'
import { type Validator, isPlainObject, kindOf } from '../validation.js'

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

/** Returns the text of a body part, which may be a string, bytes, or an object with either. */
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
  input: Record<string, unknown>,
  path: string,
  index: number,
  check: Validator,
): Attachment {
  const content = contentOf(input, path, check)
  check.object(input, path, KEYS)
  const { contentType, cid } = input
  const { filename = `attachment-${index + 1}.${extensionOf(contentType)}` } = input
  return {
    content,
    // The mailer validates the values.
    ...(filename === false ? {} : { filename: filename as string }),
    ...(contentType === undefined ? {} : { contentType: contentType as string }),
    ...(cid === undefined ? {} : { cid: cid as string }),
  }
}

/** Returns the first field of attachments that the core has no form for; nodemailer's composer builds such a message. */
export function composedAttachmentField(attachments: unknown): string | undefined {
  if (!Array.isArray(attachments)) return undefined
  for (const [index, entry] of attachments.entries()) {
    const field = isPlainObject(entry) ? composedFieldOf(entry) : undefined
    if (field !== undefined) return `attachments[${index}].${field}`
  }
  return undefined
}

function composedFieldOf(input: Readonly<Record<string, unknown>>): string | undefined {
  const { contentType, cid, filename, contentDisposition, contentTransferEncoding } = input
  if (input['raw'] !== undefined) return 'raw'
  if (input['headers'] !== undefined) return 'headers'
  if (contentTransferEncoding !== undefined && contentTransferEncoding !== 'base64')
    return 'contentTransferEncoding'
  const inline = cid !== undefined && /^image\//i.test(typeOf(contentType, filename))
  const usual = inline ? 'inline' : 'attachment'
  return contentDisposition === undefined || contentDisposition === usual ? undefined : 'contentDisposition'
}

/** Returns the media type that the mailer will use. */
function typeOf(contentType: unknown, filename: unknown): string {
  if (typeof contentType === 'string') return contentType
  return detectMimeType(typeof filename === 'string' ? filename : undefined)
}

function extensionOf(contentType: unknown): string {
  const extension = typeof contentType === 'string' ? detectExtension(contentType) : 'bin'
  // '*' stands for a type without a specific extension.
  return extension === '*' ? 'bin' : extension
}

function contentOf(input: Record<string, unknown>, path: string, check: Validator): string | Uint8Array {
  const { content, encoding } = input
  if (typeof content !== 'string') return bytesOf(content, `${path}.content`, check)
  if (encoding === undefined) return content
  return Buffer.from(content, check.oneOf(encoding, `${path}.encoding`, ENCODINGS))
}

function bytesOf(value: unknown, path: string, check: Validator): Uint8Array {
  if (isUint8Array(value)) return value
  return check.fail(path, `must be a string, a Buffer, or a stream, got ${kindOf(value)}`)
}
