import { watch } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { Command } from 'commander'
import { readManifests } from '../templates/precompile.js'
import type { TemplateOptions } from '../templates/templateOptions.js'
import { generateTypeDeclarations } from '../templates/typeDeclarations.js'
import { templateOptions, type TemplateSettings, withTemplateFlags } from './settings.js'
import { lineLogger, toned, withExamples } from './terminal.js'

interface TypesSettings extends TemplateSettings {
  out: string
  check?: boolean
  watch?: boolean
  json?: boolean
}

/** Comparison of the declaration file with the templates. */
interface Comparison {
  out: string
  state: 'current' | 'stale' | 'absent'
  /** Content that the file should have. */
  text: string
  templates: number
  /** Templates that can't be read and are omitted, with the reason. */
  broken: string[]
}

/** Delay after a change, in milliseconds: editors save in several steps. */
const DEBOUNCE = 100

/** `threadpost types`: writes types for the names and data of templates. */
export function typesCommand(): Command {
  const command = new Command('types')
    .summary('write types for the names and data of templates')
    .description(
      'Write a .d.ts file from the templates and their sample data. With it, TypeScript reports unknown template names, ' +
        'missing or misspelled variables, and values of the wrong type.',
    )
    .option(
      '--out <file>',
      'output file, created with its folder; it must be part of your TypeScript project',
      'threadpost.d.ts',
    )
    .option('--check', 'write nothing, and exit with 1 if the file is out of date (for CI)')
    .option('--watch', 'update the file whenever a template changes')
    .option('--json', 'print the result as a line of JSON')
  return withExamples(withTemplateFlags(command).action(types), {
    'keep the types up to date while you edit templates':
      'threadpost types --templates ./templates --out ./src/threadpost.d.ts --watch',
    'check in CI': 'threadpost types --templates ./templates --out ./src/threadpost.d.ts --check',
  })
}

async function types(settings: TypesSettings): Promise<void> {
  const { out, json = false } = settings
  const templates = await templateOptions(settings, 'required')
  if (settings.check === true) return check(await compare(templates, out), json)
  if (settings.watch === true) watchFolder(templates, out, json)
  await write(await compare(templates, out), json)
}

async function compare(templates: TemplateOptions, out: string): Promise<Comparison> {
  const manifests = await readManifests(templates, lineLogger)
  const valid = manifests.filter(({ error }) => error === undefined)
  const broken = manifests.flatMap(({ name, error }) => (error === undefined ? [] : [`${name}: ${error}`]))
  const folder = path.relative(path.dirname(path.resolve(out)), path.resolve(templates.dir))
  const text = generateTypeDeclarations(valid, folder.split(path.sep).join('/'))
  const current = await readFile(out, 'utf8').catch(() => undefined)
  const state = current === undefined ? 'absent' : current === text ? 'current' : 'stale'
  return { out, state, text, templates: valid.length, broken }
}

function check(comparison: Comparison, json: boolean): void {
  const { out, state } = comparison
  report(comparison, false, json)
  if (state === 'current') return
  const problem = state === 'absent' ? 'does not exist' : 'is out of date'
  console.error(`threadpost: ${out} ${problem}; run the command without --check`)
  process.exitCode = 1
}

async function write(comparison: Comparison, json: boolean): Promise<void> {
  const { out, state, text } = comparison
  if (state !== 'current') {
    await mkdir(path.dirname(out), { recursive: true })
    await writeFile(out, text)
  }
  report(comparison, state !== 'current', json)
}

/** Prints the result, with the templates that were omitted because they can't be read. */
function report({ out, state, templates, broken }: Comparison, written: boolean, json: boolean): void {
  for (const problem of broken) console.error(`threadpost: omitted because it can't be read: ${problem}`)
  if (broken.length > 0) process.exitCode = 1
  if (json) console.log(JSON.stringify({ out, templates, state, written, broken }))
  else if (written) console.log(toned('good', `written to ${out} (${templates} templates)`))
  else if (state === 'current') console.log(`${out} is up to date (${templates} templates)`)
}

function watchFolder(templates: TemplateOptions, out: string, json: boolean): void {
  let timer: NodeJS.Timeout | undefined
  watch(templates.dir, { recursive: true }, () => {
    clearTimeout(timer)
    timer = setTimeout(() => {
      process.exitCode = 0
      compare(templates, out)
        .then((comparison) => (comparison.state === 'current' ? undefined : write(comparison, json)))
        .catch((error: unknown) => console.error(`threadpost: ${(error as Error).message}`))
    }, DEBOUNCE)
  })
  if (!json) console.log(`watching ${templates.dir}; press Ctrl-C to stop`)
}
