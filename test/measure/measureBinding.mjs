// The cost of binding a compiled template (HTML, subject and text), beside running MJML for each message:
//   node test/measure/measureBinding.mjs [FILE.mjml DATA.json]     (after a build)
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import Handlebars from 'handlebars'
import mjml2html from 'mjml'
import { createHelpers, logicHelpers } from '../../dist/workers/render/helpers/builtInHelpers.js'
import { compileTemplate } from '../../dist/workers/render/precompiled/compileTemplate.js'
import { Template } from '../../dist/workers/render/template.js'

const TEMPLATES = path.resolve(import.meta.dirname, '../../templates')
const [file = path.join(TEMPLATES, 'receipt.mjml'), dataFile = path.join(TEMPLATES, 'receipt.json')] =
  process.argv.slice(2)
const read = (name) => readFile(name, 'utf8')

const source = await read(file)
const data = JSON.parse(await read(dataFile))
const partials = {}
for (const name of ['head', 'header', 'footer'])
  partials[name] = await read(path.join(TEMPLATES, 'partials', `${name}.mjml`))

const critical = (_step, work) => work()
const helpers = createHelpers(new Map(), new Map())
const parts = {
  partials: new Map(
    Object.entries(partials).map(([name, text]) => [name, { name: `partials/${name}.mjml`, text }]),
  ),
  layouts: new Map(),
  include: () => ({ refused: 'is not part of this measurement' }),
  helpers: new Set(helpers.byName.keys()),
  customHelpers: new Set(),
}
const compiled = await compileTemplate(
  { mjml: { name: file, text: source }, parts, textParts: parts },
  { critical, customHelpers: new Set() },
)
const template = await Template.of(compiled, helpers)
const input = { data, variables: { locale: 'en' } }
if ((await template.render(input, critical)).htmlRow === undefined)
  throw new Error('The template binds first: its cost is that of running MJML')

const handlebars = Handlebars.create()
for (const [name, helper] of Object.entries(logicHelpers))
  if (name !== 'lookup') handlebars.registerHelper(name, helper)
for (const [name, partial] of Object.entries(partials)) handlebars.registerPartial(name, partial)

await median(2_000, () => template.render(input, critical))
const bind = await median(5_000, () => template.render(input, critical))
const mjml = await median(100, () => mjml2html(handlebars.compile(source)(data), {}))
console.table([
  { 'binding, ms': round(bind, 4), 'MJML a message, ms': round(mjml, 2), times: Math.round(mjml / bind) },
])

async function median(runs, work) {
  const times = []
  for (let run = 0; run < runs; run++) {
    const start = performance.now()
    await work()
    times.push(performance.now() - start)
  }
  return times.sort((a, b) => a - b)[runs >> 1]
}

function round(value, digits) {
  return Number(value.toFixed(digits))
}
