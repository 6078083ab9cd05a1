import type { Mail } from '../index.js'
import { type Validator, isPlainObject, kindOf } from '../validation.js'
import { unsupported } from './fields.js'

/** Headers in the mailer's form. The mailer writes the List-Unsubscribe headers itself (RFC 2369, RFC 8058). */
export interface MappedHeaders {
  headers: Record<string, string[]>
  listUnsubscribe?: NonNullable<Mail['listUnsubscribe']>
}

/** Headers for each value of nodemailer's `priority`. */
const PRIORITIES: Readonly<Record<string, Record<string, string>>> = {
  high: { 'X-Priority': '1 (Highest)', 'X-MSMail-Priority': 'High', Importance: 'High' },
  normal: {},
  low: { 'X-Priority': '5 (Lowest)', 'X-MSMail-Priority': 'Low', Importance: 'Low' },
}

/** Maps the fields that become headers: `headers`, `list`, `priority`, and `xMailer`. */
export function mapHeaders(mail: Record<string, unknown>, check: Validator): MappedHeaders {
  const lines: [name: string, value: string][] = []
  for (const [name, value] of entriesOf(mail['headers'], check)) lines.push([canonical(name), value])
  const { priority, xMailer, list } = mail
  if (priority !== undefined) {
    const level = check.string(priority, 'priority').toLowerCase()
    check.oneOf(level, 'priority', ['high', 'normal', 'low'])
    lines.push(...Object.entries(PRIORITIES[level] ?? {}))
  }
  if (xMailer !== undefined && xMailer !== false) lines.push(['X-Mailer', check.string(xMailer, 'xMailer')])
  if (list !== undefined) lines.push(...listLines(list, check))

  const headers: Record<string, string[]> = {}
  const unsubscribe: string[] = []
  let oneClick = false
  for (const [name, value] of lines) {
    if (name === 'List-Unsubscribe') unsubscribe.push(value)
    else if (name === 'List-Unsubscribe-Post') oneClick = true
    else (headers[name] ??= []).push(value)
  }
  if (unsubscribe.length === 0) return { headers }
  return { headers, listUnsubscribe: { ...targetsOf(unsubscribe, check), oneClick } }
}

function entriesOf(value: unknown, check: Validator): [string, string][] {
  if (value === undefined || value === null) return []
  if (Array.isArray(value))
    return value.flatMap((entry, index) => {
      const path = `headers[${index}]`
      const { key, value: text } = check.object(entry, path, ['key', 'value'])
      return linesOf(check.string(key, `${path}.key`), text, `${path}.value`, check)
    })
  if (!isPlainObject(value)) check.fail('headers', `must be an object or an array, got ${kindOf(value)}`)
  return Object.entries(value).flatMap(([name, text]) =>
    linesOf(name, text, `headers.${name.slice(0, 80)}`, check),
  )
}

function linesOf(name: string, value: unknown, path: string, check: Validator): [string, string][] {
  return (Array.isArray(value) ? value : [value]).map((line: unknown) => {
    if (isPlainObject(line) && 'prepared' in line)
      unsupported(path, 'A prepared header would skip validation: pass its text.')
    if (typeof line === 'number') return [name, String(line)]
    return [name, check.string(line, path)]
  })
}

/**
 * Maps `list: { help, subscribe, … }`: an array means several lines, and an array inside it several targets on one
 * line.
 */
function listLines(list: unknown, check: Validator): [string, string][] {
  if (!isPlainObject(list)) check.fail('list', `must be an object, got ${kindOf(list)}`)
  return Object.entries(list).flatMap(([key, value]) => {
    const lines = Array.isArray(value) ? value : [value]
    return lines.map((line: unknown): [string, string] => {
      const targets = (Array.isArray(line) ? line : [line]).map((target) =>
        listTarget(target, key, `list.${key.slice(0, 40)}`, check),
      )
      return [canonical(`list-${key.trim()}`), targets.join(', ')]
    })
  })
}

function listTarget(target: unknown, key: string, path: string, check: Validator): string {
  const { url: urlInput, comment: commentInput } =
    typeof target === 'string' ? { url: target } : check.object(target, path, ['url', 'comment'])
  const url = check.string(urlInput, `${path}.url`)
  if (/[<>\s]/.test(url)) check.fail(`${path}.url`, 'must not contain whitespace or angle brackets')
  const comment = commentInput === undefined ? '' : check.string(commentInput, `${path}.comment`)
  if (key.trim().toLowerCase() === 'id') {
    const phrase = comment === '' ? '' : `"${comment.replace(/["\\]/g, '\\$&')}" `
    return `${phrase}<${url.replace(/^[^:]+:\/{0,2}/, '')}>`
  }
  return `<${withScheme(url)}>${comment === '' ? '' : ` (${comment.replace(/[()\\]/g, '\\$&')})`}`
}

function withScheme(url: string): string {
  if (/^(?:https?|mailto|ftp):/.test(url)) return url
  return /^[^@]+@[^@]+$/.test(url) ? `mailto:${url}` : `http://${url}`
}

/** Returns the first web URL and the first mailto URL of List-Unsubscribe lines, without comments. */
function targetsOf(lines: readonly string[], check: Validator): { url?: string; mailto?: string } {
  const all = [...lines.join(', ').matchAll(/<([^<>\s]*)>/g)].map(([, target = '']) => target)
  const url = all.find((target) => /^https?:/i.test(target))
  const mailto = all.find((target) => /^mailto:/i.test(target))?.slice('mailto:'.length)
  if (url === undefined && mailto === undefined)
    check.fail('list.unsubscribe', "must be an address or a URL, such as '<https://example.com/leave>'")
  return { ...(url === undefined ? {} : { url }), ...(mailto === undefined ? {} : { mailto }) }
}

/** Turns `x-my-key` into `X-My-Key`. */
function canonical(name: string): string {
  return name.toLowerCase().replace(/^(.)|-(.)/g, (initial) => initial.toUpperCase())
}
