import { watch } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
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

/** What the declaration file should say, beside what it says. */
interface Comparison {
  out: string
  state: 'current' | 'stale' | 'absent'
  text: string
  templates: number
  /** Templates that can't be read, and so are left out. */
  broken: string[]
}

/** Milliseconds: an editor saves in several steps. */
const PAUSE = 100

/** `threadpost types`: lets TypeScript check names and data of templates. */
export function typesCommand(): Command {
  const command = new Command('types')
    .summary('let TypeScript check names and data of templates')
    .description(
      'Write a .d.ts from the templates and the sample data beside them. From then on TypeScript refuses a wrong name of a ' +
        'template, a variable that is missing or misspelt, and values or items of another shape.',
    )
    .option(
      '--out <file>',
      'file to write; it must be among those that TypeScript compiles',
      'threadpost.d.ts',
    )
    .option('--check', 'write nothing, and exit with 1 if the file is not up to date: for CI')
    .option('--watch', 'write it again whenever a template changes')
    .option('--json', 'print what was done as a line of JSON')
  return withExamples(withTemplateFlags(command).action(types), {
    'while you write templates':
      'threadpost types --templates ./templates --out ./src/threadpost.d.ts --watch',
    'in CI': 'threadpost types --templates ./templates --out ./src/threadpost.d.ts --check',
  })
}

async function types(settings: TypesSettings): Promise<void> {
  const { out, json = false } = settings
  const templates = await templateOptions(settings)
  if (settings.check === true) return check(await compare(templates, out), json)
  if (settings.watch === true) watchFolder(templates, out, json)
  await write(await compare(templates, out), json)
}

async function compare(templates: TemplateOptions, out: string): Promise<Comparison> {
  const manifests = await readManifests(templates, lineLogger)
  const sound = manifests.filter(({ error }) => error === undefined)
  const broken = manifests.flatMap(({ name, error }) => (error === undefined ? [] : [`${name}: ${error}`]))
  const text = generateTypeDeclarations(sound)
  const found = await readFile(out, 'utf8').catch(() => undefined)
  const state = found === undefined ? 'absent' : found === text ? 'current' : 'stale'
  return { out, state, text, templates: sound.length, broken }
}

function check(comparison: Comparison, json: boolean): void {
  const { out, state } = comparison
  tell(comparison, false, json)
  if (state === 'current') return
  const problem = state === 'absent' ? 'is not there' : 'is not up to date'
  console.error(`threadpost: ${out} ${problem}; run it without --check`)
  process.exitCode = 1
}

async function write(comparison: Comparison, json: boolean): Promise<void> {
  const { out, state, text } = comparison
  if (state !== 'current') await writeFile(out, text)
  tell(comparison, state !== 'current', json)
}

/** A template that can't be read is left out, and said to be. */
function tell({ out, state, templates, broken }: Comparison, written: boolean, json: boolean): void {
  for (const problem of broken) console.error(`threadpost: left out, for it can't be read: ${problem}`)
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
    }, PAUSE)
  })
  if (!json) console.log(`watching ${templates.dir}; stop with Ctrl-C`)
}
