import type { JsonObject } from '../wire/tasks.js'
import type { TemplateManifest } from '../wire/templates.js'

/** What is known of a template without rendering it. */
export interface TemplateSummary {
  name: string
  /** Locales it has a variant for, besides the default one. */
  locales: string[]
  /** Whether it has a subject of its own. */
  hasSubject: boolean
  /** Sample data, where its file holds some. */
  sample?: JsonObject
  /** Why it can't be read; mails of it fail. */
  error?: string
}

export function toTemplateSummary({
  name,
  locales,
  hasSubject,
  sample,
  error,
}: TemplateManifest): TemplateSummary {
  return {
    name,
    locales: [...locales],
    hasSubject,
    ...(sample === undefined ? {} : { sample: structuredClone(sample) }),
    ...(error === undefined ? {} : { error }),
  }
}
