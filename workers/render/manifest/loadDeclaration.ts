import type {
  DataShape,
  LoadDeclaration,
  Need,
  TemplateManifest,
} from '../../../src/protocol/templateManifest.js'
import { type SourceFile, TemplateFailure } from '../template/sourceFile.js'

const ADDS = /^\s*export\s+const\s+adds\b[^=]*=\s*\[([^\]]*)\]/m
const ANY_ADDS = /^\s*export\s+const\s+adds\b/m
const ENTRY = /^(?:'([^'\\]*)'|"([^"\\]*)")$/

/**
 * Adds the declarations of a load module to the manifest, and takes what `load` adds out of its needs. The module is read, not
 * run: the process that sends may not be the one that delivers.
 * @throws TemplateFailure if `adds` is not a list of literals
 */
export function declareLoad(manifest: TemplateManifest, file: SourceFile): void {
  const load: LoadDeclaration = { file: file.name }
  const adds = addsOf(file)
  if (adds !== undefined) load.adds = adds
  const dataType = dataTypeOf(file.text)
  if (dataType !== undefined) load.dataType = dataType
  manifest.load = load
  const paths = adds?.map((path) => path.split('.'))
  manifest.needs = paths === undefined ? [] : withoutAdded(manifest.needs, paths)
  for (const path of paths ?? []) removeFrom(manifest.shape, path)
}

function addsOf({ name, text }: SourceFile): string[] | undefined {
  const list = ADDS.exec(text)?.[1]
  const entries = (list ?? '').split(',').map((entry) => entry.trim())
  const paths = entries.filter((entry) => entry !== '').map((entry) => ENTRY.exec(entry))
  if (list !== undefined && paths.every((found) => found !== null))
    return paths.map((found) => found[1] ?? found[2] ?? '')
  if (!ANY_ADDS.test(text)) return undefined
  throw new TemplateFailure(
    'TEMPLATE_ERROR',
    `${name}: adds must be a list of paths as literals, such as ['user', 'order.total']`,
    { location: { file: name } },
  )
}

function withoutAdded(needs: readonly Need[], added: readonly string[][]): Need[] {
  return needs.flatMap((need): Need[] => {
    const { scope, parts } = need.path
    if (scope === 0 && added.some((path) => overlaps(path, parts))) return []
    switch (need.need) {
      case 'value':
      case 'url':
        return [need]
      case 'if':
        return [
          {
            ...need,
            then: withoutAdded(need.then, added),
            otherwise: withoutAdded(need.otherwise, added),
          },
        ]
      case 'each':
        return [
          {
            ...need,
            items: withoutAdded(need.items, added),
            otherwise: withoutAdded(need.otherwise, added),
          },
        ]
      case 'with':
        return [
          {
            ...need,
            inner: withoutAdded(need.inner, added),
            otherwise: withoutAdded(need.otherwise, added),
          },
        ]
    }
  })
}

/** Whether one path is the start of the other: then `load` decides about the value. */
function overlaps(a: readonly string[], b: readonly string[]): boolean {
  return a.slice(0, b.length).every((part, index) => part === b[index])
}

function removeFrom(shape: DataShape, [first = '', ...rest]: readonly string[]): void {
  const inner = shape.fields?.[first]
  if (inner === undefined || shape.fields === undefined) return
  if (rest.length > 0) removeFrom(inner, rest)
  if (rest.length === 0 || Object.keys(inner.fields ?? {}).length === 0) {
    const { [first]: _, ...others } = shape.fields
    shape.fields = others
  }
}

/** Returns the type of `@param {…} data` in the JSDoc of `load`. */
function dataTypeOf(text: string): string | undefined {
  const comment = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*export\s+(?:async\s+)?(?:function|const)\s+load\b/.exec(
    text,
  )?.[1]
  const start = /@param\s+\{/.exec(comment ?? '')
  if (comment === undefined || start === null) return undefined
  let depth = 1
  const from = start.index + start[0].length
  for (let at = from; at < comment.length; at++) {
    if (comment[at] === '{') depth++
    if (comment[at] === '}' && --depth === 0)
      return comment
        .slice(from, at)
        .replace(/\n\s*\*\s?/g, ' ')
        .trim()
  }
  return undefined
}
