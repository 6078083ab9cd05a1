import { once } from 'node:events'
import type { Request, Response } from 'express'
import { explain, type Mailer, type Message } from '../index.js'
import { listQueryOf } from '../web/requestSchema.js'

/** The columns of the CSV file. */
const COLUMNS: Record<string, (message: Message) => string | number> = {
  id: ({ id }) => id,
  status: ({ status }) => status,
  accepted_at: ({ acceptedAt }) => acceptedAt,
  settled_at: ({ settledAt = '' }) => settledAt,
  to: ({ recipients }) => recipients.map(({ address }) => address).join(' '),
  subject: ({ subject = '' }) => subject,
  template: ({ template = '' }) => template,
  tags: ({ tags }) => tags.join(' '),
  transport: ({ transport }) => transport,
  attempts: ({ attempts }) => attempts.length,
  code: ({ attempts }) => attempts.at(-1)?.code ?? '',
  explanation: explain,
}

/** A spreadsheet would run a text that begins like this as a formula; an apostrophe makes it text. */
const FORMULA = /^[=+\-@\t\r]/

/** A field of CSV (RFC 4180). */
function csvField(value: string | number): string {
  const text = typeof value === 'string' && FORMULA.test(value) ? `'${value}` : String(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

function csvLine(values: readonly (string | number)[]): string {
  return `${values.map(csvField).join(',')}\r\n`
}

/** Sends all matching messages as a file, as fast as the client reads it: as CSV, or as one line of JSON for each message. */
export async function sendExport(mailer: Mailer, request: Request, response: Response): Promise<void> {
  const { limit: _, cursor: __, ...filter } = listQueryOf(request.query)
  const csv = request.path.endsWith('.csv')
  const columns = Object.values(COLUMNS)
  const lineOf = csv
    ? (message: Message) => csvLine(columns.map((column) => column(message)))
    : (message: Message) => `${JSON.stringify(message)}\n`
  response.attachment(`messages.${csv ? 'csv' : 'ndjson'}`)
  response.type(csv ? 'text/csv' : 'application/x-ndjson')
  if (csv) response.write(csvLine(Object.keys(COLUMNS)))
  for await (const message of mailer.messages(filter)) {
    if (response.closed) return
    if (!response.write(lineOf(message)))
      await Promise.race([once(response, 'drain'), once(response, 'close')])
  }
  response.end()
}
