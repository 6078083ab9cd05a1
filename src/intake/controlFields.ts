import { MAIL_FIELDS } from '../message/mailFields.js'
import { decodeWords } from '../mime/parseMime.js'
import { parseJson } from '../protocol/parseJson.js'
import { refusal, type SmtpRefusal } from './smtpReply.js'

/** The fields of a mail that control fields set. */
export interface ControlledFields {
  /** Absent for a message that is relayed as it is. */
  template?: { template: string; data: unknown; locale?: string }
  delivery: Record<string, unknown>
}

/** Control fields by their names in lower case, with the field of a mail that each sets. */
const FIELDS: Readonly<Record<string, string>> = {
  template: 'template',
  data: 'data',
  locale: 'locale',
  priority: 'priority',
  'send-at': 'sendAt',
  'idempotency-key': 'idempotencyKey',
  tags: 'tags',
  transport: 'transport',
  group: 'group',
  stream: 'stream',
}

/** Reads the control fields. A misspelled one is refused: the message would be sent in a way that its sender doesn't expect. */
export function readControls(controls: ReadonlyMap<string, string>): ControlledFields | SmtpRefusal {
  const fields: Record<string, string | number | object> = {}
  for (const [name, encoded] of controls) {
    const field = Object.hasOwn(FIELDS, name) ? FIELDS[name] : undefined
    if (field === undefined || !(field in MAIL_FIELDS))
      return refusal(
        554,
        '5.6.0',
        `X-Threadpost-${name.slice(0, 80)} is not a control field; the control fields are ${known()}`,
      )
    const value = decodeWords(encoded)
    if (value === '') continue
    if (field === 'tags') fields[field] = value.split(',').flatMap((tag) => tag.trim() || [])
    else if (field === 'priority' || (field === 'sendAt' && /^\d+$/.test(value)))
      fields[field] = Number(value)
    else if (field === 'data') {
      try {
        fields[field] = parseJson(value) as object
      } catch (error) {
        return refusal(554, '5.6.0', `X-Threadpost-Data is not JSON: ${(error as Error).message}`)
      }
    } else fields[field] = value
  }
  const {
    template,
    data = {},
    locale,
    ...delivery
  } = fields as Record<string, string | number | object> & {
    template?: string
    locale?: string
  }
  if (template === undefined)
    return fields['data'] === undefined && locale === undefined
      ? { delivery }
      : refusal(554, '5.6.0', 'X-Threadpost-Data and X-Threadpost-Locale require X-Threadpost-Template')
  return {
    template: {
      template,
      data,
      ...(locale === undefined ? {} : { locale }),
    },
    delivery,
  }
}

function known(): string {
  return Object.keys(FIELDS)
    .filter((name) => FIELDS[name]! in MAIL_FIELDS)
    .map((name) => name.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase()))
    .join(', ')
}
