import { languageSuite } from '../../../support/languageSuite.js'
import { mail, text } from '../support/templates.js'

languageSuite('MJML', {
  extension: '.mjml',
  full: mail(
    '<mj-text>{{name}}: {{#each items}}<b>{{label}}</b> {{else}}Nothing new{{/each}}</mj-text><mj-button href="{{url}}">Open</mj-button>',
    '<mj-title>Hello {{name}}</mj-title><mj-preview>News for {{name}}</mj-preview>',
  ),
  french: text('Bonjour {{name}}'),
  broken: '<mjml>\n{{#if}',
})
