import { spawn } from 'node:child_process'
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { Command } from 'commander'
import { createMailer } from '../createMailer.js'
import { ThreadpostError } from '../errors.js'
import { lineLogger } from './lineLogger.js'
import { type TemplateSettings, templateOptions, withTemplateFlags } from './settings.js'

interface RenderSettings extends TemplateSettings {
  data?: string
  locale?: string
  text?: boolean
  html?: boolean
  open?: boolean
}

/** `threadpost render`: what a template gives with some data. */
export function renderCommand(): Command {
  const command = new Command('render')
    .description('Render a template and print subject, preheader and text; or its HTML; or look at it.')
    .argument('<name>', 'name of the template')
    .option('--data <file>', 'JSON file with the data')
    .option('--locale <locale>', 'variant of the template')
    .option('--text', 'print the text part only')
    .option('--html', 'print the HTML only')
    .option('--open', 'show the HTML in the browser')
  return withTemplateFlags(command).action(render)
}

async function render(name: string, settings: RenderSettings): Promise<void> {
  const mailer = await createMailer({
    transport: 'smtp://127.0.0.1:1',
    from: 'render@threadpost.example',
    templates: await templateOptions(settings),
    threads: 0,
    logger: lineLogger,
  })
  try {
    const parts = await mailer.render(name, await dataOf(settings.data), {
      ...(settings.locale === undefined ? {} : { locale: settings.locale }),
    })
    if (settings.open === true) return await show(parts.html)
    if (settings.html === true) console.log(parts.html)
    else if (settings.text === true) console.log(parts.text)
    else console.log(`Subject: ${parts.subject}\nPreheader: ${parts.preheader}\n\n${parts.text}`)
  } finally {
    await mailer.close()
  }
}

async function dataOf(file: string | undefined): Promise<object> {
  if (file === undefined) return {}
  try {
    const { '@policy': _policy, ...data } = JSON.parse(await readFile(file, 'utf8')) as Record<
      string,
      unknown
    >
    return data
  } catch (error) {
    throw new ThreadpostError('INVALID_OPTIONS', `data: ${file} can't be read: ${(error as Error).message}`)
  }
}

async function show(html: string): Promise<void> {
  const file = path.join(await mkdtemp(path.join(os.tmpdir(), 'threadpost-')), 'mail.html')
  await writeFile(file, html)
  const open = { darwin: 'open', win32: 'explorer' }[process.platform as string] ?? 'xdg-open'
  spawn(open, [file], { stdio: 'ignore', detached: true })
    .on('error', () => console.error(`threadpost: no browser could be opened for ${file}`))
    .unref()
  console.log(file)
}
