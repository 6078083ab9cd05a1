import type { JobAttachment } from '../protocol/tasks.js'
import { type Validator, forbidControls, isBytes, isPlainObject, kindOf } from '../validation.js'

const CONTENT_TYPE =
  /^[a-z0-9!#$&^_.+-]{1,127}\/[a-z0-9!#$&^_.+-]{1,127}(?: *; *[a-z0-9-]+=(?:[\w.+-]+|"[ !#-[\]-~]*"))*$/i
export const ATTACHMENT_FIELDS = ['filename', 'content', 'path', 'encoding', 'contentType', 'cid']
const CID = /^[\w.%+@-]{1,200}$/
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/

/** Reads attachments. Their content is part of the mail, as text or bytes: `readAttachments()` has read files and streams. */
export function attachmentsOf(value: unknown, check: Validator, max: number): JobAttachment[] {
  if (value === undefined) return []
  return check
    .array(value, 'attachments', max)
    .map((entry, index) => attachmentOf(entry, `attachments[${index}]`, check))
}

function attachmentOf(value: unknown, path: string, check: Validator): JobAttachment {
  if (isPlainObject(value)) {
    if (value['path'] !== undefined)
      check.fail(`${path}.path`, 'is read by send() only, from the folder of the option attachmentRoot')
    for (const key of ['href', 'raw'])
      if (key in value) check.fail(`${path}.${key}`, 'is not supported; pass the bytes as content')
  }
  const input = check.object(value, path, ATTACHMENT_FIELDS)
  const content = contentOf(input, path, check)
  const size = typeof content === 'string' ? Buffer.byteLength(content) : content.byteLength
  const attachment: JobAttachment = { content, size }
  if (input['filename'] !== undefined)
    attachment.filename = filenameOf(input['filename'], `${path}.filename`, check)
  if (input['contentType'] !== undefined) {
    const type = check.string(input['contentType'], `${path}.contentType`, 255)
    if (!CONTENT_TYPE.test(type) || /^(?:multipart\/|message\/(?!rfc822$))|boundary=/i.test(type))
      check.fail(
        `${path}.contentType`,
        "must be a MIME type such as 'application/pdf' or 'message/rfc822', and no other multipart or message type",
      )
    attachment.contentType = type
  }
  if (input['cid'] !== undefined) {
    const cid = check.string(input['cid'], `${path}.cid`)
    if (!CID.test(cid))
      check.fail(`${path}.cid`, 'may contain letters, digits and . _ - + @ %, at most 200 characters')
    attachment.cid = cid
  }
  return attachment
}

/** A file name without a path. */
export function filenameOf(value: unknown, path: string, check: Validator): string {
  const filename = forbidControls(check.string(value, path, 255), path, check)
  if (/[/\\]/.test(filename)) check.fail(path, 'must not contain / or \\')
  return filename
}

function contentOf(input: Record<string, unknown>, path: string, check: Validator): string | Uint8Array {
  const { content } = input
  const encoding = check.oneOf(input['encoding'] ?? 'utf8', `${path}.encoding`, ['utf8', 'base64'])
  if (isBytes(content, `${path}.content`, check)) return copyOf(content)
  if (typeof content !== 'string')
    check.fail(`${path}.content`, `must be a string or a Uint8Array, got ${kindOf(content)}`)
  if (encoding === 'utf8') return content
  const packed = content.replace(/[\r\n]/g, '')
  if (!BASE64.test(packed) || packed.length % 4 !== 0) check.fail(`${path}.content`, 'is not base64')
  return new Uint8Array(Buffer.from(packed, 'base64'))
}

/** From this length on, in bytes, messages with the same attachment share a copy. */
const SHARED = 64 * 1024
const copies = new WeakMap<Uint8Array, WeakRef<Uint8Array>>()

/**
 * Returns a copy of bytes, because the caller may reuse the buffer, and a view would transfer its whole pool to the thread.
 * The copies of a large buffer that has not changed are one.
 */
function copyOf(bytes: Uint8Array): Uint8Array {
  if (bytes.length < SHARED) return new Uint8Array(bytes)
  const known = copies.get(bytes)?.deref()
  if (known !== undefined && Buffer.compare(known, bytes) === 0) return known
  const copy = new Uint8Array(bytes)
  copies.set(bytes, new WeakRef(copy))
  return copy
}
