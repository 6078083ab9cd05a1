import { whileLoading } from '../heartbeat.js'

/** What MJML made of a source. */
export interface MjmlResult {
  html: string
  /** Complaints of its soft validation. */
  warnings: { line: number; tag: string; message: string }[]
}

/** MJML with its default options. The work is done before the promise is returned; only its result comes later. */
export type Mjml = (source: string) => Promise<MjmlResult>

let loaded: Promise<Mjml> | undefined

/** The one door to MJML. Loading takes half a second and 60 MB, so nothing but the compiling of a template asks for it. */
export function loadMjml(): Promise<Mjml> {
  loaded ??= whileLoading(() => import('mjml')).then(({ default: mjml2html }) => async (source: string) => {
    // Includes were put in place before, so a source that still has one must not reach the disk.
    const { html, errors } = await mjml2html(source, { ignoreIncludes: true })
    return {
      html,
      warnings: errors.map(({ line, tagName, message }) => ({ line, tag: tagName, message })),
    }
  })
  return loaded
}
