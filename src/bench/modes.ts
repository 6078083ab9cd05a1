/** The ways of sending that the benchmark compares. */

export const FAMILIES = [
  'naive',
  'precompiled',
  'bullmq',
  'inline',
  'memory',
  'sqlite',
  'redis',
  'smtp-source',
] as const

export type Family = (typeof FAMILIES)[number]

export interface Mode {
  /** Name in tables and JSON: `memory-2`. */
  name: string
  family: Family
  /** Worker threads of threadpost; 0 for modes without threads. */
  threads: number
}

/** A description of each family, for readers new to the names. */
export const MEANINGS: Record<Family, string> = {
  naive:
    'renders inline for each message (Handlebars and MJML, or React), and opens a nodemailer connection for each',
  precompiled:
    "binds data to compiled HTML inline (a React template is rendered for each message), and sends through nodemailer's pool",
  bullmq: 'BullMQ on Redis; its worker runs in the same process and sends as precompiled does',
  inline: 'threadpost in the calling thread (threads: 0), with the queue in memory',
  memory: 'threadpost, with the queue in memory',
  sqlite: 'threadpost, with the queue in a SQLite file: a receipt means that the message is on disk',
  redis: 'threadpost, with the queue in Redis',
  'smtp-source':
    "Postfix's load generator, written in C: renders nothing and sends the same bytes every time",
}

const THREADED: readonly Family[] = ['memory', 'sqlite', 'redis']

/** Returns one mode per family, and for families with threads one per thread count. */
export function modesOf(families: readonly Family[], threads: readonly number[]): Mode[] {
  return families.flatMap((family) =>
    THREADED.includes(family)
      ? threads.map((count) => ({ name: `${family}-${count}`, family, threads: count }))
      : [{ name: family, family, threads: 0 }],
  )
}

/** Returns the display name: `memory, 2 threads`. */
export function labelOf({ family, threads }: Mode): string {
  return threads === 0 ? family : `${family}, ${threads} thread${threads === 1 ? '' : 's'}`
}
