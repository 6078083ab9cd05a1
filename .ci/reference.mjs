// Writes the reference into src/README.md, between `<!-- reference: NAME -->` and `<!-- end -->`, from the docstrings of the public
// types: node .ci/reference.mjs. A test fails when it is not up to date.
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import ts from 'typescript'

const root = path.dirname(import.meta.dirname)
const REFERENCE = path.join(root, 'src/README.md')

const PARTS = {
  options: () => optionTable(['src/options.ts', 'MailerOptions']),
  mail: () =>
    optionTable(
      ['src/message/mail.ts', 'Templated'],
      ['src/message/mail.ts', 'MjmlMail'],
      ['src/message/mail.ts', 'RawMail'],
      ['src/message/mail.ts', 'Literal'],
    ),
  calls: () =>
    [
      ['wait(id, options), sendAndWait(mail, options)', 'src/telemetry/waiters.ts', 'WaitOptions'],
      ['list(query)', 'src/queue/driver.ts', 'ListQuery'],
      ['mailRouter(mailer, options)', 'src/express/mailRouter.ts', 'MailRouterOptions'],
      ['metricsRegistry(mailer, options)', 'src/express/prometheus.ts', 'MetricsOptions'],
      ['startInbox(options)', 'src/inbox/inbox.ts', 'InboxOptions'],
      ['smtpIntake(mailer, options)', 'src/intake/smtpIntakeOptions.ts', 'SmtpIntakeOptions'],
      ['amqpIntake(mailer, options)', 'src/intake/amqpIntakeOptions.ts', 'AmqpIntakeOptions'],
    ]
      .map(([call, ...type]) => `\`${call}\`\n\n${optionTable(type)}`)
      .join('\n\n'),
  errors: errorTable,
  outcomes: outcomeTable,
}

const config = path.join(root, 'tsconfig.json')
const { options } = ts.parseJsonConfigFileContent(
  ts.readConfigFile(config, ts.sys.readFile).config,
  ts.sys,
  root,
)
const program = ts.createProgram(
  ['src/index.ts', 'src/express/index.ts', 'src/testing/index.ts', 'src/intake/index.ts'].map((file) =>
    path.join(root, file),
  ),
  options,
)
const checker = program.getTypeChecker()

/** The text with its reference written anew. */
export function withReference(text) {
  return text.replace(/(<!-- reference: (\w+) -->\n).*?(<!-- end -->)/gs, (_, start, name, end) => {
    if (PARTS[name] === undefined) throw new Error(`There is no reference of ${name}`)
    return `${start}\n${PARTS[name]()}\n\n${end}`
  })
}

/** An example of each of the mailer's options, for a test to compile. */
export function optionExamples() {
  return fieldsOf(typeNamed('src/options.ts', 'MailerOptions')).map((field) => {
    const { example } = tagsOf(field)
    if (example === undefined) throw new Error(`${field.name} has no @example`)
    return example
  })
}

function optionTable(...types) {
  const fields = unique(types.flatMap(([file, name]) => fieldsOf(typeNamed(file, name))))
  const rows = rowsOf(fields).map(({ name, fallback, text, example }) => [
    `\`${name}\``,
    fallback,
    example === undefined ? text : `${text}<br>\`${example}\``,
  ])
  return table(['option', 'default', ''], rows)
}

/** One row a field, and below it those of its own fields. */
function rowsOf(fields, prefix = '') {
  return fields.flatMap((field) => {
    const name = `${prefix}${field.name}`
    const { default: fallback, example } = tagsOf(field)
    const below = rowsOf(unique(objectsIn(checker.getTypeOfSymbol(field)).flatMap(fieldsOf)), `${name}.`)
    const required = (field.flags & ts.SymbolFlags.Optional) === 0
    if (docOf(field) === '') throw new Error(`${name} has no docstring`)
    if (!required && fallback === undefined && below.length === 0) throw new Error(`${name} has no @default`)
    const row = {
      name,
      text: docOf(field),
      fallback: asDefault(fallback ?? (required ? 'required' : '')),
      example,
    }
    return [row, ...below]
  })
}

function typeNamed(file, name) {
  const { statements } = program.getSourceFile(path.join(root, file))
  return checker.getTypeAtLocation(statements.find((statement) => statement.name?.text === name))
}

/** The fields that can be given, those of the type itself before those it inherits. */
function fieldsOf(type) {
  const own = type.symbol?.members
  return checker
    .getPropertiesOfType(type)
    .filter(
      (field) =>
        (checker.getNonNullableType(checker.getTypeOfSymbol(field)).flags & ts.TypeFlags.Never) === 0,
    )
    .sort((a, b) => Number(own?.has(b.escapedName) ?? 0) - Number(own?.has(a.escapedName) ?? 0))
}

/** The objects among what a field may hold whose fields are described: an address or a logger are not. */
function objectsIn(type) {
  if (type.isUnion()) return type.types.flatMap(objectsIn)
  if (checker.isArrayType(type)) return objectsIn(checker.getTypeArguments(type)[0])
  if ((type.flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection)) === 0) return []
  const fields = checker.getPropertiesOfType(type)
  const ours = fields.every((field) =>
    field.declarations?.every((declaration) => {
      const { fileName } = declaration.getSourceFile()
      return fileName.startsWith(path.join(root, 'src')) && ts.isPropertySignature(declaration)
    }),
  )
  return fields.length > 0 && ours && fields.every((field) => docOf(field) !== '') ? [type] : []
}

/** A field that several shapes share is told once. */
function unique(fields) {
  return fields.filter(({ name }, index) => fields.findIndex((field) => field.name === name) === index)
}

function errorTable() {
  const statuses = statusesOverHttp()
  const rows = codesOf('src/errors.ts', 'ErrorCode').map(([code, why, remedy]) => [
    code,
    why,
    remedy,
    statuses.get(code),
  ])
  return table(
    ['code', 'why', 'what to do', 'over HTTP'],
    rows.map(([code, ...rest]) => [`\`${code}\``, ...rest]),
  )
}

function outcomeTable() {
  const results = {
    rejected: ['RejectedCode', 'UnsupportedCode'],
    deferred: ['DeferredCode', 'UnreachableCode', 'UnavailableCode', 'ReleasedCode'],
    uncertain: ['UncertainCode'],
    withdrawn: ['WithdrawnCode', 'SkippedCode'],
  }
  const rows = Object.entries(results).flatMap(([result, unions]) =>
    unions
      .flatMap((union) => codesOf('src/protocol/outcome.ts', union))
      .map(([code, why, remedy]) => [result, `\`${code}\``, why, remedy]),
  )
  return table(['outcome', 'code', 'why', 'what to do'], rows)
}

/** The codes of a union, each with why it comes and what to do. */
function codesOf(file, name) {
  const { statements } = program.getSourceFile(path.join(root, file))
  const union = statements.find((statement) => statement.name?.text === name).type
  const told = new Map(
    [...union.getFullText().matchAll(/\/\*\*(.*?)@remedy(.*?)\*\/\s*(?:\| )?'(\w+)'/gs)].map(
      ([, why, remedy, code]) => [code, [why, remedy].map((text) => cell(text.replace(/^\s*\* ?/gm, ' ')))],
    ),
  )
  const members = (union.types ?? [union]).flatMap(({ literal }) => literal?.text ?? [])
  return members.map((code) => {
    if (!told.has(code)) throw new Error(`${code} does not say why it comes and what to do`)
    return [code, ...told.get(code)]
  })
}

function statusesOverHttp() {
  const text = program.getSourceFile(path.join(root, 'src/web/problem.ts')).text
  return new Map([...text.matchAll(/^ {2}([A-Z_]+): (\d{3}),$/gm)].map(([, code, status]) => [code, status]))
}

function docOf(symbol) {
  return cell(ts.displayPartsToString(symbol.getDocumentationComment(checker)))
}

function tagsOf(symbol) {
  return Object.fromEntries(
    symbol.getJsDocTags(checker).map(({ name, text }) => [name, cell(ts.displayPartsToString(text))]),
  )
}

/** What is a value is set as code; what comes behind it is not. */
function asDefault(text) {
  return text.replace(/^('[^']*'|\d[\d_.]*|true|false)(?=$|[ :,])/, '`$1`')
}

function cell(text) {
  return text
    .replace(/\{@link ([^}]+)\}/g, '$1')
    .replace(/\s+/g, ' ')
    .replaceAll('|', '\\|')
    .trim()
}

function table(heads, rows) {
  return [heads, heads.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

if (process.argv[1] === import.meta.filename)
  await writeFile(REFERENCE, withReference(await readFile(REFERENCE, 'utf8')))
