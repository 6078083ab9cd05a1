import { watch } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { Command } from 'commander'
import { templateTypes } from '../templateTypes.js'
import { readManifests } from '../workshop.js'
import { type TemplateSettings, templateFolder, withTemplateFlag } from './settings.js'

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
  return withTemplateFlag(command).action(types)
}

async function types(settings: TypesSettings): Promise<void> {
  const dir = templateFolder(settings)
  if (settings.check === true) return await check(dir, settings.out)
  await write(dir, settings.out)
  if (settings.watch === true) watchFolder(dir, settings.out)
}

async function check(dir: string, out: string): Promise<void> {
  const { text, broken } = await typesOf(dir)
  const found = await readFile(out, 'utf8').catch(() => undefined)
  complain(broken)
  if (found === text) {
    console.log(`${out} is up to date`)
    return
  }
  const flags = `--templates ${dir} --out ${out}`
  const problem = found === undefined ? 'is not there' : 'is not up to date'
  console.error(`threadpost: ${out} ${problem}; run: threadpost types ${flags}`)
  process.exitCode = 1
}

async function write(dir: string, out: string): Promise<void> {
  const { text, count, broken } = await typesOf(dir)
  complain(broken)
  const found = await readFile(out, 'utf8').catch(() => undefined)
  if (found === text) {
    console.log(`${out} is up to date (${count} templates)`)
    return
  }
  await writeFile(out, text)
  console.log(`written to ${out} (${count} templates)`)
}

async function typesOf(dir: string): Promise<{ text: string; count: number; broken: string[] }> {
  const manifests = await readManifests(dir)
  const sound = manifests.filter(({ error }) => error === undefined)
  const broken = manifests.flatMap(({ name, error }) => (error === undefined ? [] : [`${name}: ${error}`]))
  return { text: templateTypes(sound), count: sound.length, broken }
}

/** A template that can't be read is left out, and said to be. */
function complain(broken: readonly string[]): void {
  for (const problem of broken) console.error(`threadpost: left out, for it can't be read: ${problem}`)
  if (broken.length > 0) process.exitCode = 1
}

function watchFolder(dir: string, out: string): void {
  let timer: NodeJS.Timeout | undefined
  watch(dir, { recursive: true }, () => {
    clearTimeout(timer)
    timer = setTimeout(() => {
      process.exitCode = 0
      write(dir, out).catch((error: unknown) => console.error(`threadpost: ${(error as Error).message}`))
    }, PAUSE)
  })
  console.log(`watching ${dir}; stop with Ctrl-C`)
}
