import Handlebars from 'handlebars'
import mjml2html from 'mjml'
import { logicHelpers } from '../../../workers/render/helpers/logic.js'

/** What others do: Handlebars binds the source, MJML makes HTML of the result. Shares nothing with the renderer but simple helpers. */
export async function bindFirst(
  source: string,
  partials: Record<string, string>,
  data: unknown,
): Promise<string> {
  const handlebars = Handlebars.create()
  for (const [name, helper] of Object.entries(logicHelpers))
    if (name !== 'lookup') handlebars.registerHelper(name, helper)
  for (const [name, partial] of Object.entries(partials)) handlebars.registerPartial(name, partial)
  const bound = handlebars.compile(source)(data)
  const { html } = await mjml2html(bound, {})
  return html
}
