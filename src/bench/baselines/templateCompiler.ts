import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import Handlebars from 'handlebars'
import mjml2html from 'mjml'
import type { Workload } from '../order.js'

/** The source of the workload's template; partials of its folder are known to Handlebars afterwards. */
export async function readTemplate({
  templates,
  template,
}: Pick<Workload, 'templates' | 'template'>): Promise<string> {
  const partials = path.join(templates, 'partials')
  for (const file of await readdir(partials).catch(() => [])) {
    const { name, ext } = path.parse(file)
    if (ext === '.mjml') Handlebars.registerPartial(name, await readFile(path.join(partials, file), 'utf8'))
  }
  return readFile(path.join(templates, `${template}.mjml`), 'utf8')
}

/** Handlebars, as an app compiles it once: functions from data to text. */
export function compile(source: string): (data: object) => string {
  return Handlebars.compile(source)
}

/** Unlike the naive way this throws at what MJML can't make sense of. */
export async function toHtml(mjml: string): Promise<string> {
  const { html } = await mjml2html(mjml, { validationLevel: 'skip' })
  return html
}
