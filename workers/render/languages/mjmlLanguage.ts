import { collectNeeds } from '../manifest/needs.js'
import { compileTemplate } from '../precompiled/compileTemplate.js'
import { Template } from '../template.js'
import { MJML_ELEMENTS, parseTemplate } from '../template/parseTemplate.js'
import { checkTemplate } from '../templateCheck.js'
import type { TemplateLanguage } from './language.js'

/** Handlebars in MJML, and templates that are only a text part. */
export const mjmlLanguage: TemplateLanguage = {
  name: 'mjml',
  extensions: ['.mjml'],
  declare: (source) => {
    const { trees } = parseTemplate(source, MJML_ELEMENTS)
    return {
      hasSubject: trees.subject !== undefined,
      needs: collectNeeds([...trees.mjml, ...(trees.text ?? [])]),
    }
  },
  compile: compileTemplate,
  open: (compiled, helpers) => Template.of(compiled, helpers),
  check: checkTemplate,
}
