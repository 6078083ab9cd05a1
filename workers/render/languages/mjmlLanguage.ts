import { annotateFragment } from '../analysis/annotate.js'
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
    const { trees, files } = parseTemplate(source, MJML_ELEMENTS)
    const mjml = annotateFragment(trees.mjml, files)
    return {
      hasSubject: trees.subject !== undefined,
      needs: collectNeeds([...mjml, ...(trees.text ?? [])]),
    }
  },
  compile: compileTemplate,
  open: (compiled, helpers) => Template.of(compiled, helpers),
  check: checkTemplate,
}
