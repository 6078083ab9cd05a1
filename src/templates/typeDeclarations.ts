import type { Json } from '../protocol/tasks.js'
import type { DataShape, TemplateManifest } from '../protocol/templateManifest.js'

const HEADER = `// Written by \`threadpost types\` from the templates and their sample data. Don't edit it: run the command again.
import type {} from 'threadpost'

`

/** The type of a value without sample data. */
const ANY_VALUE = 'string | number | boolean | Date | null'
const ISO_DATE = /^\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d))?$/
const IDENTIFIER = /^[A-Za-z_$][\w$]*$/

/**
 * Returns a declaration file with the names of the templates and the data that each needs. Names and shapes come from
 * the templates, the types of values from their sample data. The type of data that a `load` function receives is that of its
 * parameter.
 * @param folder the template folder, relative to the folder of the declaration file
 */
export function generateTypeDeclarations(manifests: readonly TemplateManifest[], folder = '.'): string {
  const entries = [...manifests]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((manifest) => `    ${keyOf(manifest.name)}: ${typeOfTemplate(manifest, folder)}\n`)
  return `${HEADER}declare module 'threadpost' {\n  interface Templates {\n${entries.join('')}  }\n}\n`
}

function typeOfTemplate(manifest: TemplateManifest, folder: string): string {
  const { shape, sample, languages } = manifest
  const data =
    dataOfModule(manifest, folder) ?? (shape.fields === undefined ? '{}' : objectOf(shape.fields, sample, 6))
  const known = languages.map((locale) => JSON.stringify(locale)).join(' | ')
  return `{\n      data: ${data}\n      locales: ${known === '' ? 'never' : known}\n    }`
}

/** The type of a template's data, if a module states it. */
function dataOfModule({ load, component }: TemplateManifest, folder: string): string | undefined {
  if (load === undefined) return component === undefined ? undefined : propsOf(component, folder)
  if (load.dataType !== undefined) return load.dataType
  if (/\.m?ts$/.test(load.file)) return `Parameters<typeof import(${moduleName(folder, load.file)}).load>[0]`
  return load.adds === undefined ? 'Record<string, unknown>' : undefined
}

function propsOf(component: string, folder: string): string {
  if (!component.endsWith('.tsx')) return 'Record<string, unknown>'
  return `NonNullable<Parameters<typeof import(${moduleName(folder, component)}).default>[0]>`
}

/** TypeScript imports a module by the name that it has once it is compiled. */
function moduleName(folder: string, file: string): string {
  const compiled = `${folder === '' ? '.' : folder}/${file.replace(/\.tsx?$/, '.js').replace(/\.mts$/, '.mjs')}`
  return JSON.stringify(compiled.startsWith('.') || compiled.startsWith('/') ? compiled : `./${compiled}`)
}

function typeOf(shape: DataShape, sample: Json | undefined, indent: number): string {
  if (shape.items !== undefined) return listOf(shape.items, sample, indent)
  if (shape.fields !== undefined) return objectOf(shape.fields, sample, indent)
  return typeOfSample(sample)
}

/** `{{#each}}` accepts lists and objects. The sample data decides between them. */
function listOf(items: DataShape, sample: Json | undefined, indent: number): string {
  if (typeof sample === 'object' && sample !== null && !Array.isArray(sample))
    return `Record<string, ${typeOf(items, Object.values(sample)[0], indent)}>`
  const item = typeOf(items, Array.isArray(sample) ? sample[0] : undefined, indent)
  return `readonly ${/[|]/.test(item) && !item.startsWith('{') ? `(${item})` : item}[]`
}

function objectOf(fields: Record<string, DataShape>, sample: Json | undefined, indent: number): string {
  const known = typeof sample === 'object' && sample !== null && !Array.isArray(sample) ? sample : {}
  const pad = ' '.repeat(indent)
  const lines = Object.entries(fields).map(([name, shape]) => {
    const type = typeOf(shape, Object.hasOwn(known, name) ? known[name] : undefined, indent + 2)
    return `${pad}  ${keyOf(name)}${shape.optional === true ? '?' : ''}: ${type}${shape.optional === true ? ' | undefined' : ''}\n`
  })
  return `{\n${lines.join('')}${pad}}`
}

/** Returns the type of a value that is only printed or passed to a helper. */
function typeOfSample(sample: Json | undefined): string {
  switch (typeof sample) {
    case 'string':
      return ISO_DATE.test(sample) ? 'string | Date' : 'string'
    case 'number':
      return 'number'
    case 'boolean':
      return 'boolean'
    case 'object':
      return sample === null ? ANY_VALUE : 'object'
    default:
      return ANY_VALUE
  }
}

function keyOf(name: string): string {
  return IDENTIFIER.test(name) ? name : JSON.stringify(name)
}
