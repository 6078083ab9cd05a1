import { createHash } from 'node:crypto'
import { parseJson } from '../../../src/protocol/parseJson.js'
import type { JsonObject } from '../../../src/protocol/tasks.js'
import type {
  TemplateManifest,
  TemplatePolicy,
  TemplateVariant,
} from '../../../src/protocol/templateManifest.js'
import type { TemplateFiles } from '../folder/scan.js'
import type { FolderVersion } from '../folder/templateFolder.js'
import { extensionOf } from '../languages/extensions.js'
import { languageOf } from '../languages/languages.js'
import type { VariantSource } from '../template/parseTemplate.js'
import { TemplateFailure } from '../template/sourceFile.js'
import { declareLoad } from './loadDeclaration.js'
import { inferShape } from './needs.js'

const MAX_SAMPLE = 64 * 1024

/** Returns the manifest of each template of a folder. */
export function buildManifests(version: FolderVersion): Promise<TemplateManifest[]> {
  return Promise.all([...version.files.templates].map(([name, files]) => buildManifest(name, files, version)))
}

/** Returns the manifest of a template over all its variants. If the template can't be parsed, `error` is the reason. */
export async function buildManifest(
  name: string,
  files: TemplateFiles,
  version: FolderVersion,
): Promise<TemplateManifest> {
  const main = files.main.size > 0 ? files.main : files.text
  const locales = [...main.keys()].filter((locale) => locale !== '')
  const languages = locales.length === 0 ? [...version.files.locales.keys()] : locales
  const manifest: TemplateManifest = { name, locales, languages, hasSubject: true, needs: [], shape: {} }
  if (main.size > 0 && !main.has('')) manifest.defaultMissing = true
  manifest.version = versionOf(files, version)
  try {
    const { policy, sample } = sampleOf(files)
    if (policy !== undefined) manifest.policy = policy
    if (sample !== undefined) manifest.sample = sample
    const variants = await Promise.all(
      [...main.keys()].map(async (locale) => {
        const main = files.main.get(locale)
        const text = files.text.get(locale) ?? files.text.get('')
        const source: VariantSource = {
          ...(main === undefined ? {} : { main }),
          ...(text === undefined ? {} : { text }),
          ...version.partsFor(main === undefined ? '.mjml' : extensionOf(main)),
        }
        return languageOf(source).declare(source)
      }),
    )
    manifest.hasSubject = variants.every(({ hasSubject }) => hasSubject)
    const ownSample = variants.find((variant) => variant.sample !== undefined)?.sample
    if (sample === undefined && ownSample !== undefined) manifest.sample = ownSample
    const component = variants.find((variant) => variant.component !== undefined)?.component
    if (component !== undefined) manifest.component = component
    // If `load` chooses the locale, data is certainly needed only if all variants need it.
    const needs = variants.map((variant) => variant.needs)
    const forms = variants.map(({ hasSubject, needs }): TemplateVariant => ({ hasSubject, needs }))
    if (files.load === undefined && new Set(forms.map((form) => JSON.stringify(form))).size > 1)
      manifest.variants = Object.fromEntries([...main.keys()].map((locale, index) => [locale, forms[index]!]))
    const known = needs.slice(1).map((list) => new Set(list.map((need) => JSON.stringify(need))))
    manifest.needs = (needs[0] ?? []).filter((need) => known.every((list) => list.has(JSON.stringify(need))))
    manifest.shape = inferShape(needs.flat())
    if (files.load !== undefined) declareLoad(manifest, files.load)
  } catch (error) {
    if (!(error instanceof TemplateFailure)) throw error
    manifest.error = error.message
  }
  return manifest
}

/** A hash of the contents: the same for the same files on every machine. */
function versionOf({ main, text, load }: TemplateFiles, { files }: FolderVersion): string {
  const hash = createHash('sha256')
  for (const sources of [main, text, ...files.partials.values(), ...files.layouts.values(), files.locales]) {
    const texts = [...sources].map(([name, source]) => [name, source.text])
    hash.update(JSON.stringify(texts.sort(([a = ''], [b = '']) => (a < b ? -1 : 1))))
  }
  if (load !== undefined) hash.update(load.text)
  // A component may import any other.
  if ([...main.values()].some((file) => file.path !== undefined))
    for (const [name, file] of files.all) if (file.path !== undefined) hash.update(`${name}\0${file.text}`)
  return hash.digest('hex').slice(0, 12)
}

/** Reads a sample file: sample data, and under `@policy` the policy of the template. */
function sampleOf(files: TemplateFiles): { policy?: TemplatePolicy; sample?: JsonObject } {
  const { sample: file } = files
  if (file === undefined) return {}
  const parsed = parseSample(file.name, file.text)
  const { '@policy': policy, ...sample } = parsed
  return {
    ...(policy === undefined ? {} : { policy: policyOf(policy, file.name) }),
    ...(file.text.length > MAX_SAMPLE ? {} : { sample }),
  }
}

function parseSample(name: string, text: string): JsonObject {
  try {
    const parsed: unknown = parseJson(text)
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed as JsonObject
  } catch (error) {
    throw new TemplateFailure('TEMPLATE_ERROR', `${name}: ${(error as Error).message}`, {
      location: { file: name },
    })
  }
  throw new TemplateFailure('TEMPLATE_ERROR', `${name}: sample data must be a JSON object`, {
    location: { file: name },
  })
}

function policyOf(value: unknown, name: string): TemplatePolicy {
  const { priority, expiresAfter, transport, ...others } = Object(value) as Record<string, unknown>
  const wrong =
    (priority !== undefined &&
      !(Number.isInteger(priority) && (priority as number) >= 0 && (priority as number) <= 9)) ||
    (expiresAfter !== undefined && !(typeof expiresAfter === 'number' && expiresAfter > 0)) ||
    (transport !== undefined && typeof transport !== 'string') ||
    Object.keys(others).length > 0
  if (wrong)
    throw new TemplateFailure(
      'TEMPLATE_ERROR',
      `${name}: @policy may contain only priority (0 to 9), expiresAfter (ms) and transport (a name)`,
      { location: { file: name } },
    )
  return value as TemplatePolicy
}
