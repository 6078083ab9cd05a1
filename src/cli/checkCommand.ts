import { Command } from 'commander'
import { compileTemplates, type TemplateReport } from '../templates/precompile.js'
import { templateOptions, type TemplateSettings, withTemplateFlags } from './settings.js'
import { lineLogger, progressBar, toned, withExamples } from './terminal.js'

interface CheckSettings extends TemplateSettings {
  json?: boolean
  strict?: boolean
}

/** `threadpost check`: are the templates right, and which of them compile once? */
export function checkCommand(): Command {
  const command = new Command('check')
    .summary('compile each template and say what is wrong')
    .description(
      'Compile every template. An error says what is wrong, with file, line and column; "once" is a template that binds data ' +
        'after MJML ran, "first" one that runs MJML for each message, with the place that keeps it from more and what to do.',
    )
    .option('--strict', 'exit with 1 also if a template has to run MJML for each message')
    .option('--json', 'print the reports as JSON')
  return withExamples(withTemplateFlags(command).action(check), {
    'before a commit': 'threadpost check --templates ./templates',
    'in CI, where each template should compile once': 'threadpost check --strict --json',
  })
}

async function check(settings: CheckSettings): Promise<void> {
  const reports = await compileTemplates(await templateOptions(settings), {
    logger: lineLogger,
    progress: progressBar(),
  })
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
  if (error !== undefined) return [`${toned('bad', 'error')}  ${title}`, `  ${error}`, ...notes]
  if (findings.length === 0) return [`${toned('good', 'once')}   ${title}`, ...notes]
  const reasons = findings.flatMap(({ at, expression, reason, advice }) => [
    `  ${at.file}:${at.line}:${at.column}: ${expression === '' ? '' : `${expression} `}- ${reason}`,
    `    to compile it once: ${advice}`,
  ])
  return [`${toned('fair', 'first')}  ${title}: runs MJML for each message`, ...reasons, ...notes]
}
