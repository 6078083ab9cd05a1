import { whileLoading } from '../heartbeat.js'

/** The output of MJML. */
export interface MjmlResult {
  html: string
  /** Problems found by MJML's soft validation. */
  warnings: { line: number; tag: string; message: string }[]
}

/** MJML with its default options. It does its work before it returns the promise. */
export type Mjml = (source: string) => Promise<MjmlResult>

let loaded: Promise<Mjml> | undefined

/** Loads MJML. This is its only importer. Loading takes half a second and 60 MB, so a thread loads it only when it needs to run MJML. */
export function loadMjml(): Promise<Mjml> {
  loaded ??= whileLoading(() => import('mjml')).then(({ default: mjml2html }) => async (source: string) => {
    // The includes are already expanded. MJML must not read a file for one that remains.
    const { html, errors } = await mjml2html(source, { ignoreIncludes: true })
    return {
      html,
      warnings: errors.map(({ line, tagName, message }) => ({ line, tag: tagName, message })),
    }
  })
  return loaded
}
