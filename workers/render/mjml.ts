import { whileLoading } from '../heartbeat.js'
import { nestedTooDeeply } from './template/sourceFile.js'

/** The output of MJML. */
export interface MjmlResult {
  html: string
  /** Problems found by MJML's soft validation. */
  warnings: { line: number; tag: string; message: string }[]
}

/** Runs only MJML's validation, on every component of a source. */
export type MjmlValidation = (source: string) => Promise<MjmlResult['warnings']>

/** MJML with its default options. It does its work before it returns the promise. @throws TemplateFailure if elements are nested too deeply */
export type Mjml = (source: string) => Promise<MjmlResult>

let loaded: Promise<{ convert: Mjml; validate: MjmlValidation }> | undefined

/** Loads MJML. Loading takes a tenth of a second and 27 MB, so a thread loads it only when it needs to run MJML. */
export async function loadMjml(): Promise<Mjml> {
  return (await load()).convert
}

export async function loadMjmlValidation(): Promise<MjmlValidation> {
  return (await load()).validate
}

interface MjmlProblem {
  line: number
  tagName: string
  message: string
}

function load(): NonNullable<typeof loaded> {
  loaded ??= whileLoading(() => import('./mjmlPackages.js')).then(({ mjml2html }) => ({
    convert: async (source: string) => {
      // The includes are already expanded. MJML must not read a file for one that remains.
      const { html, errors } = await orTooDeep(() => mjml2html(source, { ignoreIncludes: true }))
      return { html, warnings: errors.map(toWarning) }
    },
    validate: async (source: string) => {
      try {
        // Strict validation throws before anything is rendered.
        const { errors } = await mjml2html(source, { ignoreIncludes: true, validationLevel: 'strict' })
        return errors.map(toWarning)
      } catch (error) {
        if (error instanceof Error && 'errors' in error && Array.isArray(error.errors))
          return (error.errors as MjmlProblem[]).map(toWarning)
        throw error
      }
    },
  }))
  return loaded
}

/** MJML and the CSS inliner call themselves for each level of nesting. */
export async function orTooDeep<T>(work: () => T): Promise<Awaited<T>> {
  try {
    return await work()
  } catch (error) {
    throw error instanceof RangeError ? nestedTooDeeply() : error
  }
}

function toWarning({ line, tagName, message }: MjmlProblem): MjmlResult['warnings'][number] {
  return { line, tag: tagName, message }
}
