import mjml2html from 'mjml'
import { compileHandlebars } from './oracle.js'

/**
 * The usual way: Handlebars binds the source, and MJML converts the result to HTML. Shares nothing with the renderer but
 * simple helpers. Rejects if data is missing.
 */
export async function renderPerMessage(
  source: string,
  partials: Record<string, string>,
  data: unknown,
): Promise<string> {
  const bound = compileHandlebars({ source, partials })(data, { locale: 'en' })
  if ('missing' in bound) throw new Error('data is missing')
  if ('error' in bound) throw new Error(bound.error)
  const { html } = await mjml2html(bound.text, {})
  return html
}
