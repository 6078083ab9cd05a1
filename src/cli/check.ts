import { Command } from 'commander'
import { compileTemplates, type TemplateReport } from '../workshop.js'
import { lineLogger } from './lineLogger.js'
import { type TemplateSettings, templateOptions, withTemplateFlags } from './settings.js'

interface CheckSettings extends TemplateSettings {
  json?: boolean
  strict?: boolean
}

/** `threadpost check`: are the templates right, and which of them compile once? */
export function checkCommand(): Command {
  const command = new Command('check')
    .description(
      'Compile every template and say which ones bind data after MJML, and what keeps others from it.',
    )
    .option('--strict', 'exit with 1 if a template has to run MJML for each message')
    .option('--json', 'print the reports as JSON')
  return withTemplateFlags(command).action(check)
}

async function check(settings: CheckSettings): Promise<void> {
  const reports = await compileTemplates(await templateOptions(settings), undefined, lineLogger)
  console.log(settings.json === true ? JSON.stringify(reports, null, 2) : describeReports(reports))
  const wrong = reports.some(
    ({ error, findings }) => error !== undefined || (settings.strict === true && findings.length > 0),
  )
  if (wrong) process.exitCode = 1
}

/** One line a template, and below it what is to be said of it. */
export function describeReports(reports: readonly TemplateReport[]): string {
  const lines = reports.flatMap(describeReport)
  const once = reports.filter(({ error, findings }) => error === undefined && findings.length === 0).length
  return [...lines, `${once} of ${reports.length} templates compile once`].join('\n')
}

function describeReport({ name, locale, error, findings, warnings }: TemplateReport): string[] {
  const title = locale === '' ? name : `${name} (${locale})`
  const notes = warnings.map((warning) => `  note: ${warning}`)
  if (error !== undefined) return [`error  ${title}`, `  ${error}`, ...notes]
  if (findings.length === 0) return [`once   ${title}`, ...notes]
  const reasons = findings.flatMap(({ at, expression, reason, advice }) => [
    `  ${at.file}:${at.line}:${at.column}: ${expression === '' ? '' : `${expression} `}- ${reason}`,
    `    to compile it once: ${advice}`,
  ])
  return [`first  ${title}: runs MJML for each message`, ...reasons, ...notes]
}
