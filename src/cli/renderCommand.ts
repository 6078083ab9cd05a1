import { spawn } from 'node:child_process'
import { mkdtemp, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { Command } from 'commander'
import { createMailer } from '../createMailer.js'
import type { Mailer } from '../mailer.js'
import type { RenderedParts } from '../protocol/tasks.js'
import { readTemplateData, templateOptions, type TemplateSettings, withTemplateFlags } from './settings.js'
import { lineLogger, withExamples } from './terminal.js'

interface RenderSettings extends TemplateSettings {
  data?: string
  locale?: string
  text?: boolean
  html?: boolean
  open?: boolean
  json?: boolean
}

/** `threadpost render`: renders a template with data. */
export function renderCommand(): Command {
  const command = new Command('render')
    .summary('render a template with some data')
    .description(
      'Render a template as it would be sent, and print its subject, preheader, and text, print its HTML, or show it in the ' +
        'browser. The command sends nothing. Without --data, it uses the sample data next to the template. If required data is ' +
        'missing, the error lists it.',
    )
    .argument('<name>', 'name of the template')
    .option(
      '--data <file>',
      'JSON file with the data, or JSON (default: the sample data next to the template)',
    )
    .option('--locale <locale>', 'locale of the template; fr-CA falls back to fr, then to the default')
    .option('--text', 'print only the text part')
    .option('--html', 'print only the HTML')
    .option('--open', 'write the HTML to a file and open it in the browser')
    .option('--json', 'print subject, preheader, html, and text as JSON')
  return withExamples(withTemplateFlags(command).action(render), {
    'use the sample data': 'threadpost render welcome',
    'show the French version in the browser': 'threadpost render welcome --locale fr --open',
    'write a snapshot for a test':
      'threadpost render welcome --data templates/welcome.json --html > welcome.html',
  })
}

async function render(name: string, settings: RenderSettings): Promise<void> {
  const mailer = await createMailer({
    transport: 'smtp://127.0.0.1:1',
    from: 'render@threadpost.example',
    templates: await templateOptions(settings, 'bundled'),
    threads: 0,
    logger: lineLogger,
  })
  try {
    const data =
      settings.data === undefined ? await sampleOf(mailer, name) : await readTemplateData(settings.data)
    const parts = await mailer.render(name, data, {
      ...(settings.locale === undefined ? {} : { locale: settings.locale }),
    })
    if (settings.open === true) return await show(parts)
    if (settings.json === true) console.log(JSON.stringify(parts, null, 2))
    else if (settings.html === true) console.log(parts.html)
    else if (settings.text === true) console.log(parts.text)
    else console.log(`Subject: ${parts.subject}\nPreheader: ${parts.preheader}\n\n${parts.text}`)
  } finally {
    await mailer.close()
  }
}

async function sampleOf(mailer: Mailer, name: string): Promise<object> {
  const templates = await mailer.describeTemplates()
  return templates.find((template) => template.name === name)?.sample ?? {}
}

/** Shows the HTML, or the text of a template that is only a text part. */
async function show({ html, text }: RenderedParts): Promise<void> {
  const name = html === '' ? 'mail.txt' : 'mail.html'
  const file = path.join(await mkdtemp(path.join(os.tmpdir(), 'threadpost-')), name)
  await writeFile(file, html === '' ? text : html)
  const open = { darwin: 'open', win32: 'explorer' }[process.platform as string] ?? 'xdg-open'
  spawn(open, [file], { stdio: 'ignore', detached: true })
    .on('error', () => console.error(`threadpost: could not open a browser for ${file}`))
    .unref()
  console.log(file)
}
