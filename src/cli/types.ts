import { watch } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { Command } from 'commander'
import type { TemplateOptions } from '../templateOptions.js'
import { templateTypes } from '../templateTypes.js'
import { readManifests } from '../workshop.js'
import { lineLogger } from './lineLogger.js'
import { type TemplateSettings, templateOptions, withTemplateFlags } from './settings.js'

interface TypesSettings extends TemplateSettings {
  out: string
  check?: boolean
  watch?: boolean
}

/** Milliseconds: an editor saves in several steps. */
const PAUSE = 100

/** `threadpost types`: lets TypeScript check names and data of templates. */
export function typesCommand(): Command {
  const command = new Command('types')
    .description('Write a .d.ts from the templates, so that TypeScript checks what is sent with them.')
    .option(
      '--out <file>',
      'file to write; it must be among those that TypeScript compiles',
      'threadpost.d.ts',
    )
    .option('--check', 'write nothing, and exit with 1 if the file is not up to date: for CI')
    .option('--watch', 'write it again whenever a template changes')
  return withTemplateFlags(command).action(types)
}

async function types(settings: TypesSettings): Promise<void> {
  const templates = await templateOptions(settings)
  if (settings.check === true) return await check(templates, settings.out)
  await write(templates, settings.out)
  if (settings.watch === true) watchFolder(templates, settings.out)
}

async function check(templates: TemplateOptions, out: string): Promise<void> {
  const { text, broken } = await typesOf(templates)
  const found = await readFile(out, 'utf8').catch(() => undefined)
  complain(broken)
  if (found === text) {
    console.log(`${out} is up to date`)
    return
  }
  const problem = found === undefined ? 'is not there' : 'is not up to date'
  console.error(`threadpost: ${out} ${problem}; run it without --check`)
  process.exitCode = 1
}

async function write(templates: TemplateOptions, out: string): Promise<void> {
  const { text, count, broken } = await typesOf(templates)
  complain(broken)
  const found = await readFile(out, 'utf8').catch(() => undefined)
  if (found === text) {
    console.log(`${out} is up to date (${count} templates)`)
    return
  }
  await writeFile(out, text)
  console.log(`written to ${out} (${count} templates)`)
}

async function typesOf(
  templates: TemplateOptions,
): Promise<{ text: string; count: number; broken: string[] }> {
  const manifests = await readManifests(templates, lineLogger)
  const sound = manifests.filter(({ error }) => error === undefined)
  const broken = manifests.flatMap(({ name, error }) => (error === undefined ? [] : [`${name}: ${error}`]))
  return { text: templateTypes(sound), count: sound.length, broken }
}

/** A template that can't be read is left out, and said to be. */
function complain(broken: readonly string[]): void {
  for (const problem of broken) console.error(`threadpost: left out, for it can't be read: ${problem}`)
  if (broken.length > 0) process.exitCode = 1
}

function watchFolder(templates: TemplateOptions, out: string): void {
  let timer: NodeJS.Timeout | undefined
  watch(templates.dir, { recursive: true }, () => {
    clearTimeout(timer)
    timer = setTimeout(() => {
      process.exitCode = 0
      write(templates, out).catch((error: unknown) =>
        console.error(`threadpost: ${(error as Error).message}`),
      )
    }, PAUSE)
  })
  console.log(`watching ${templates.dir}; stop with Ctrl-C`)
}
