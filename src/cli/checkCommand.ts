import { Command } from 'commander'
import { compileTemplates, type TemplateReport } from '../templates/precompile.js'
import { templateOptions, type TemplateSettings, withTemplateFlags } from './settings.js'
import { lineLogger, progressBar, toned, withExamples } from './terminal.js'

interface CheckSettings extends TemplateSettings {
  json?: boolean
  strict?: boolean
}

/** `threadpost check`: reports errors of templates, and which templates compile once. */
export function checkCommand(): Command {
  const command = new Command('check')
    .summary('compile each template and report errors')
    .description(
      'Compile every template and report all errors with file, line, and column, including those that MJML finds with the ' +
        'sample data. A template marked "once" runs MJML only when ' +
        'it is compiled. A template marked "first" runs MJML for each message; the report shows why, and how to change that. ' +
        'A template marked "each" is a React component, which is rendered for each message.',
    )
    .option('--strict', 'also exit with 1 if a template runs MJML for each message')
    .option('--json', 'print the reports as JSON')
  return withExamples(withTemplateFlags(command).action(check), {
    'check before a commit': 'threadpost check --templates ./templates',
    'require in CI that each template compiles once': 'threadpost check --strict --json',
  })
}

async function check(settings: CheckSettings): Promise<void> {
  const templates = await templateOptions(settings, 'required')
  const reports = await compileTemplates(templates, { logger: lineLogger, progress: progressBar() })
  console.log(settings.json === true ? JSON.stringify(reports, null, 2) : describeReports(reports))
  const failed = reports.some(
    ({ errors, findings }) => errors.length > 0 || (settings.strict === true && findings.length > 0),
  )
  if (failed) process.exitCode = 1
  if (reports.length > 0) return
  console.error(`The folder ${templates.dir} contains no template`)
  process.exitCode = 1
}

/** Returns one line per template, followed by its errors, findings, and notes. */
export function describeReports(reports: readonly TemplateReport[]): string {
  const lines = reports.flatMap(describeReport)
  const compiled = reports.filter(({ errors, findings }) => errors.length === 0 && findings.length === 0)
  const components = compiled.filter(isComponent).length
  // A file that is no template has no language.
  const total = reports.filter(({ language }) => language !== '').length
  const summary = `${compiled.length - components} of ${total} templates compile once`
  const rendered = components === 0 ? '' : `; ${components} in React are rendered for each message`
  return [...lines, summary + rendered].join('\n')
}

function isComponent({ language }: TemplateReport): boolean {
  return language === 'react'
}

function describeReport(report: TemplateReport): string[] {
  const { name, locale, language, errors, findings, warnings } = report
  const title = locale === '' ? name : `${name} (${locale})`
  const notes = warnings.map((warning) => `  note: ${warning}`)
  if (errors.length > 0)
    return [`${toned('bad', 'error')}  ${title}`, ...errors.map((error) => `  ${error}`), ...notes]
  if (isComponent(report)) return [`${toned('good', 'each')}   ${title}`, ...notes]
  if (findings.length === 0) return [`${toned('good', 'once')}   ${title}`, ...notes]
  const reasons = findings.flatMap(({ at, expression, reason, advice }) => [
    `  ${at.file}:${at.line}:${at.column}: ${expression === '' ? '' : `${expression} `}- ${reason}`,
    `    to compile it once: ${advice}`,
  ])
  const work = language === 'html' ? 'inlines CSS' : 'runs MJML'
  return [`${toned('fair', 'first')}  ${title}: ${work} for each message`, ...reasons, ...notes]
}
