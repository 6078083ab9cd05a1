/** The ways of sending that are measured side by side. */

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
  /** What tables and JSON call it: `memory-2`. */
  name: string
  family: Family
  /** Worker threads of threadpost; 0 where there are none. */
  threads: number
}

/** What each of them does with a mail, for people who see the names for the first time. */
export const MEANINGS: Record<Family, string> = {
  naive: 'inline: Handlebars and MJML for each mail, nodemailer, a connection for each',
  precompiled: "inline: compiled HTML, nodemailer's pool",
  bullmq: 'BullMQ on Redis; its worker in the same process sends as precompiled does',
  inline: 'threadpost in the calling thread (threads: 0), queue in memory',
  memory: 'threadpost, queue in memory',
  sqlite: 'threadpost, queue in a SQLite file: a receipt means on disk',
  redis: 'threadpost, queue in Redis',
  'smtp-source': "Postfix's load generator, in C: renders nothing, sends the same bytes again and again",
}

const THREADED: readonly Family[] = ['memory', 'sqlite', 'redis']

/** Each family once, those with threads once for each count. */
export function modesOf(families: readonly Family[], threads: readonly number[]): Mode[] {
  return families.flatMap((family) =>
    THREADED.includes(family)
      ? threads.map((count) => ({ name: `${family}-${count}`, family, threads: count }))
      : [{ name: family, family, threads: 0 }],
  )
}

/** For a person: `memory, 2 threads`. */
export function labelOf({ family, threads }: Mode): string {
  return threads === 0 ? family : `${family}, ${threads} thread${threads === 1 ? '' : 's'}`
}
