import { z } from 'zod'
import type {
  ImportResult as ImportResultType,
  Suppression as SuppressionType,
  SuppressionInput as SuppressionInputType,
  SuppressionPage as SuppressionPageType,
  SuppressionQuery,
} from '../../index.js'
import { named, SuppressionReasons } from './messageSchema.js'

const maybe = z.exactOptional
const text = () => z.string().max(320)

export const Suppression = named(
  'Suppression',
  z.object({
    address: z.string().describe('With the domain as lowercase A-labels, and the local part in lower case.'),
    reason: SuppressionReasons,
    stream: maybe(z.string()).describe('Absent if the entry is for every stream.'),
    since: z.iso.datetime(),
    expiresAt: maybe(z.iso.datetime()),
    detail: maybe(z.string()),
  } satisfies Record<keyof SuppressionType, z.ZodType>) satisfies z.ZodType<SuppressionType>,
  'An address that gets no more mail.',
)

/** The body of a request to add an entry. It is only documentation: the mailer validates it. */
export const SuppressionInput = named(
  'SuppressionInput',
  z.strictObject({
    address: z.string(),
    reason: SuppressionReasons,
    stream: z.string().optional().describe('Every stream by default.'),
    expiresAt: z
      .union([z.string(), z.number()])
      .optional()
      .describe('ISO 8601 with a time zone, or milliseconds since the epoch. By default, the entry stays.'),
    detail: z.string().max(500).optional().describe('A note.'),
  } satisfies Record<keyof SuppressionInputType, z.ZodType>),
)

export const SuppressionPage = named(
  'SuppressionPage',
  z.object({
    suppressions: z.array(Suppression).describe('In the order of their addresses.'),
    cursor: maybe(z.string()).describe('Present if there may be more.'),
  }) satisfies z.ZodType<SuppressionPageType>,
)

export const ImportResult = named(
  'ImportResult',
  z.object({
    added: z.number().int(),
    problems: z
      .array(z.object({ line: z.number().int(), problem: z.string() }))
      .describe('Lines that were not imported, the first 100.'),
  }) satisfies z.ZodType<ImportResultType>,
)

export const ListSuppressions = z.strictObject({
  q: text().optional().describe('Text to search for in addresses, ignoring case.'),
  reason: SuppressionReasons.optional(),
  stream: text().optional().describe('Only entries for this stream, without those for every stream.'),
  limit: z.coerce.number().int().min(1).max(1_000).optional().describe('Entries per page; 100 by default.'),
  cursor: z.string().max(400).optional().describe('The cursor of the previous page.'),
} satisfies Record<keyof SuppressionQuery, z.ZodType>)

export const RemoveSuppression = z.strictObject({
  address: text().describe('The address whose entries are removed.'),
  stream: maybe(text()).describe('Only the entries for this stream. By default, all.'),
  reason: maybe(SuppressionReasons).describe('Only the entries with this reason. By default, all.'),
})
