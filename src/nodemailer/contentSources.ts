import { constants } from 'node:fs'
import { open, realpath } from 'node:fs/promises'
import path from 'node:path'
import { isUint8Array } from 'node:util/types'
import { isPlainObject } from '../validation.js'
import { parseDataUrl } from './dataUrls.js'
import { fetchContent, tlsFieldsOf } from './fetchContent.js'
import { SendMailError } from './sentMessageInfo.js'

/** Milliseconds for reading all files, URLs, and streams of a message. */
const READ_TIMEOUT = 30_000

/** Where a message may take content from. */
export interface ContentAccess {
  /** Absolute folders that files must be in; undefined: any file. */
  files: readonly string[] | undefined
  disableFileAccess: boolean
  disableUrlAccess: boolean
  /** Whether URLs may name private addresses. */
  allowPrivateHosts: boolean
  /** Most bytes that a message may read, of all sources together. */
  maxBytes: number
}

/** Fields of a message that contain one text or file, and those that are lists of them. */
const SINGLE = ['text', 'html', 'watchHtml', 'amp', 'icalEvent', 'raw'] as const
const LISTS = ['attachments', 'alternatives'] as const

/**
 * Reads the files, URLs, `data:` URLs, and streams of a message, as nodemailer would when it builds the message. Returns a copy
 * in which each has become `content`; a message without any is returned as it is. This happens before the message is
 * queued, because what was read must be the same for every attempt.
 * @throws SendMailError EFILEACCESS, EURLACCESS, EFETCH, ESTREAM, or the code of the file system's error
 */
export async function readSources(
  message: Record<string, unknown>,
  access: ContentAccess,
): Promise<Record<string, unknown>> {
  if (!hasSources(message)) return message
  const timeout = new AbortController()
  const timer = setTimeout(() => timeout.abort(), READ_TIMEOUT)
  const reader = new SourceReader(access, timeout.signal)
  try {
    const copy = { ...message }
    for (const field of SINGLE) copy[field] = await reader.read(message[field], field)
    for (const field of LISTS) {
      const list = message[field]
      if (!Array.isArray(list)) continue
      const entries: unknown[] = []
      for (const [index, entry] of list.entries())
        entries.push(await reader.read(entry, `${field}[${index}]`))
      copy[field] = entries
    }
    return copy
  } finally {
    clearTimeout(timer)
    timeout.abort()
  }
}

function hasSources(message: Record<string, unknown>): boolean {
  const entries = LISTS.flatMap((field): unknown[] => (Array.isArray(message[field]) ? message[field] : []))
  return [...SINGLE.map((field) => message[field]), ...entries].some(
    (value) => isSource(value) || (isPlainObject(value) && isSource(value['raw'])),
  )
}

function isSource(value: unknown): boolean {
  return isStream(value) || (isPlainObject(value) && sourceOf(value) !== undefined)
}

type Source = { kind: 'path' | 'href'; value: unknown } | { kind: 'content'; value: Stream }

/** The source of a part; undefined if its content is here already. nodemailer prefers content over path over href. */
function sourceOf({ content, path: file, href }: Record<string, unknown>): Source | undefined {
  if (isStream(content)) return { kind: 'content', value: content }
  if (content !== undefined && content !== null) return undefined
  if (file !== undefined && file !== null && file !== '') return { kind: 'path', value: file }
  return href === undefined || href === null ? undefined : { kind: 'href', value: href }
}

/** A stream of Node or of the web. */
type Stream = AsyncIterable<unknown, unknown> & { destroy?: () => void }

function isStream(value: unknown): value is Stream {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value && !isUint8Array(value)
}

/** nodemailer's fields for the request of an `href`. */
interface RequestFields {
  httpHeaders: unknown
  tls: unknown
}

interface ReadContent {
  content: Uint8Array
  filename?: string
  contentType?: string | undefined
}

/** Reads the sources of one message, one after another. */
class SourceReader {
  readonly #access: ContentAccess
  readonly #signal: AbortSignal
  /** Rejects when the time is up. */
  readonly #late: Promise<never>
  #left: number

  constructor(access: ContentAccess, signal: AbortSignal) {
    this.#access = access
    this.#signal = signal
    this.#left = access.maxBytes
    this.#late = new Promise((_, reject) =>
      signal.addEventListener('abort', () => reject(new Error('too late'))),
    )
    this.#late.catch(() => undefined)
  }

  /** Returns a part with its content, or the value itself if nothing is to be read. */
  async read(value: unknown, field: string): Promise<unknown> {
    if (isStream(value)) return this.#collect(value, field)
    if (!isPlainObject(value)) return value
    // A finished part takes the place of other content.
    if (isSource(value['raw']))
      return { ...value, raw: contentOf(await this.read(value['raw'], `${field}.raw`)) }
    const source = sourceOf(value)
    if (source === undefined) return value
    const { path: _path, href: _href, httpHeaders, tls, ...part } = value
    const at = `${field}.${source.kind}`
    const { content, filename, contentType } = await this.#readFrom(source, at, { httpHeaders, tls })
    return {
      ...(filename === undefined ? {} : { filename }),
      ...(contentType === undefined ? {} : { contentType }),
      ...part,
      content,
    }
  }

  async #readFrom(source: Source, at: string, request: RequestFields): Promise<ReadContent> {
    if (source.kind === 'content') return { content: await this.#collect(source.value, at) }
    if (typeof source.value !== 'string') throw new SendMailError('ESTREAM', `${at}: must be a string`)
    const text = source.value
    if (/^data:/i.test(text)) return this.#decode(text, at)
    if (source.kind === 'href' || /^https?:/i.test(text)) return this.#fetch(text, at, request)
    return { content: await this.#readFile(text, at), filename: path.basename(text) }
  }

  #decode(text: string, at: string): ReadContent {
    const parsed = parseDataUrl(text)
    if (parsed === undefined) throw new SendMailError('ESTREAM', `${at}: is not a data: URL`)
    this.#spend(parsed.content.length, at)
    return parsed
  }

  async #fetch(url: string, at: string, { httpHeaders, tls }: RequestFields): Promise<ReadContent> {
    if (this.#access.disableUrlAccess)
      throw new SendMailError('EURLACCESS', `${at}: the access to URLs is disabled (disableUrlAccess)`)
    try {
      const fetched = await fetchContent(url, {
        headers: headersOf(httpHeaders),
        tls: tlsFieldsOf(tls),
        allowPrivateHosts: this.#access.allowPrivateHosts,
        signal: this.#signal,
      })
      try {
        const content = await this.#collect(fetched.body, at)
        const filename = fileNameOf(url)
        // A name without an extension says nothing about the type.
        const { contentType } = path.extname(filename) === '' ? fetched : { contentType: undefined }
        return { content, ...(filename === '' ? {} : { filename }), contentType }
      } finally {
        fetched.close()
      }
    } catch (error) {
      throw this.#failure(error, at, 'EFETCH', 'the URL')
    }
  }

  async #readFile(file: string, at: string): Promise<Uint8Array> {
    if (this.#access.disableFileAccess)
      throw new SendMailError('EFILEACCESS', `${at}: the access to files is disabled (disableFileAccess)`)
    try {
      const resolved = await realpath(file)
      await this.#assertInside(resolved, at)
      // A link that takes the file's place now is not followed.
      const handle = await open(resolved, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
      try {
        const stat = await handle.stat()
        if (!stat.isFile()) throw new SendMailError('ESTREAM', `${at}: is not a file`)
        this.#check(stat.size, at)
        return await this.#collect(handle.createReadStream({ autoClose: false }), at)
      } finally {
        await handle.close()
      }
    } catch (error) {
      throw this.#failure(error, at, 'ESTREAM', 'the file')
    }
  }

  async #assertInside(file: string, at: string): Promise<void> {
    const { files } = this.#access
    if (files === undefined) return
    for (const folder of files) {
      const relative = path.relative(await realpath(folder), file)
      if (relative !== '' && relative.split(path.sep)[0] !== '..' && !path.isAbsolute(relative)) return
    }
    throw new SendMailError('EFILEACCESS', `${at}: the file is outside the folders of the option files`)
  }

  /** Reads a stream to its end, and destroys it if it fails, is too long, or takes too long. */
  async #collect(source: Stream, at: string): Promise<Uint8Array> {
    const chunks: Uint8Array[] = []
    const iterator = source[Symbol.asyncIterator]()
    try {
      for (;;) {
        const { done, value }: IteratorResult<unknown, unknown> = await Promise.race([
          iterator.next(),
          this.#late,
        ])
        if (done === true) return Buffer.concat(chunks)
        if (typeof value !== 'string' && !isUint8Array(value))
          throw new SendMailError('ESTREAM', `${at}: the stream must have strings or bytes`)
        const chunk = typeof value === 'string' ? Buffer.from(value) : value
        this.#spend(chunk.length, at)
        chunks.push(chunk)
      }
    } catch (error) {
      if (source.destroy === undefined) iterator.return?.().catch(() => undefined)
      else source.destroy()
      throw this.#failure(error, at, 'ESTREAM', 'the stream')
    }
  }

  #check(size: number, at: string): void {
    if (size > this.#left)
      throw new SendMailError(
        'EMESSAGE',
        `${at}: the message is larger than limits.message, ${this.#access.maxBytes} bytes`,
      )
  }

  #spend(size: number, at: string): void {
    this.#check(size, at)
    this.#left -= size
  }

  /** The errors of this module are final; others are described without the path, the URL, or a stack. */
  #failure(error: unknown, at: string, code: string, what: string): SendMailError {
    if (error instanceof SendMailError) return error
    if (this.#signal.aborted)
      return new SendMailError('ETIMEDOUT', `${at}: ${what} was not read within ${READ_TIMEOUT / 1_000} s`)
    const { code: cause, message } = error as NodeJS.ErrnoException
    // The system's messages repeat the path.
    if (what === 'the file')
      return new SendMailError(cause ?? code, `${at}: can't read the file: ${cause ?? 'unknown error'}`)
    return new SendMailError(code, `${at}: can't read ${what}: ${message.slice(0, 100)}`)
  }
}

function contentOf(part: unknown): unknown {
  return isPlainObject(part) ? part['content'] : part
}

function headersOf(value: unknown): Record<string, string> {
  if (!isPlainObject(value)) return {}
  return Object.fromEntries(Object.entries(value).map(([name, text]) => [name, String(text)]))
}

/** The last segment of a URL's path; empty if it has none. */
function fileNameOf(url: string): string {
  const segment = new URL(url).pathname.split('/').at(-1) ?? ''
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}
