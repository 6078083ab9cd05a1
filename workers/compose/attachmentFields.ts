import { isAscii } from 'node:buffer'
import {
  buildHeaderValue,
  detectMimeType,
  encodeWord,
  encodeWords,
  foldLines,
  parseHeaderValue,
} from 'nodemailer/lib/mime-funcs'
import type { JobAttachment } from '../../src/protocol/tasks.js'

/** Characters of a line, and of an encoded word's text. */
const LINE = 76
const WORD = 52
/** What a parameter may hold without quotes. */
const TOKEN = /^(?!-)[^\s'"\\;:/=(),<>@[\]?]+$/

/** The fields of an attachment's part (RFC 2183, RFC 2392), which is base64. */
export function attachmentFields({ filename, content, contentType, cid }: JobAttachment): string {
  const type = contentType ?? detectMimeType(filename ?? 'bin')
  const disposition = cid !== undefined && /^image\//i.test(type) ? 'inline' : 'attachment'
  const params = filename === undefined ? {} : { filename }
  return (
    field('Content-Type', typeOf(type, filename, content)) +
    'Content-Transfer-Encoding: base64\r\n' +
    field('Content-Disposition', buildHeaderValue({ value: disposition, params })) +
    (cid === undefined ? '' : field('Content-Id', `<${cid}>`))
  )
}

/** The name stands here as well, as an encoded word, for clients that look nowhere else. */
function typeOf(type: string, filename: string | undefined, content: JobAttachment['content']): string {
  const { value, params } = parseHeaderValue(type)
  if (/^text\//i.test(type) && typeof content === 'string' && !isAscii(Buffer.from(content)))
    params['charset'] = 'utf-8'
  if (filename === undefined) return buildHeaderValue({ value, params })
  const others = Object.entries(params).filter(([name]) => !/^name(?:\*|$)/i.test(name))
  // Without a space to fold at, only encoded words can be parted.
  const word =
    filename.length > WORD ? encodeWord(filename, 'Q', WORD) : encodeWords(filename, 'Q', WORD, true)
  const named = TOKEN.test(word) ? word : JSON.stringify(word)
  return `${buildHeaderValue({ value, params: Object.fromEntries(others) })}; name=${named}`
}

function field(name: string, value: string): string {
  return `${foldLines(`${name}: ${value}`, LINE)}\r\n`
}
