import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { Command, Option } from 'commander'
import type { ChildTask } from '../bench/childProtocol.js'
import { median } from '../bench/distribution.js'
import { modesOf } from '../bench/modes.js'
import { judgeMachine, lookAtMachine } from '../bench/noise.js'
import { pageOf } from '../bench/page/resultsPage.js'
import { runChild } from '../bench/processes.js'
import type { BenchReport } from '../bench/report.js'
import { type BenchSettings, runConfigOf, runRounds, type Session, withSession } from '../bench/rounds.js'
import { measureBacklog, runScaling } from '../bench/scaling.js'
import { DKIM_ALGORITHMS } from '../bench/security.js'
import { runSoak, soakTable } from '../bench/soak.js'
import { measureRates } from '../bench/steadyRates.js'
import { judge } from '../bench/summary.js'
import { markdownOf, ratesTable, scalingTable, tableOf, targetTable, verdictOf } from '../bench/table.js'
import { type ExtraMeasurements, targetsOf } from '../bench/targets.js'
import { ThreadpostError } from '../errors.js'
import { compileTemplates } from '../templates/precompile.js'
import { type BenchFlags, benchSettings, parseCounts, parseFamilies } from './benchSettings.js'
import { parseLatency, parsePositiveDuration, parseSeconds } from './durations.js'
import { parseInteger } from './settings.js'
import { progressBar, withExamples } from './terminal.js'

/** Messages in the long queue of the targets. */
const BACKLOG = 1_000_000
/** Processes whose start is measured. */
const STARTS = 3

/** Measures the start with compiled templates, and a long queue, which only the targets need. */
async function measureExtras(session: Session): Promise<ExtraMeasurements> {
  const { progress } = session.settings
  progress?.(0, 3, 'start with compiled templates')
  const compiledStart = await measureCompiledStart(session)
  progress?.(1, 3, 'an empty queue')
  const { measurement: empty } = await measureBacklog(session, 0)
  progress?.(2, 3, `${BACKLOG} messages in the queue`)
  const { measurement: full } = await measureBacklog(session, BACKLOG)
  progress?.(3, 3, 'done')
  return {
    compiledStart,
    backlog: {
      messages: full.messages,
      growth: (full.rss - full.rssAtTenth) / 2 ** 20,
      rateRatio: full.rate / empty.rate,
    },
  }
}

async function measureCompiledStart(session: Session): Promise<number> {
  const [mode] = modesOf(['memory'], [1])
  if (mode === undefined) throw new Error('modesOf() returned no mode')
  const { signal } = session.settings
  const config = runConfigOf(session, mode)
  const out = path.join(session.environment.folder, 'compiled')
  await compileTemplates(config.workload.templates, { out })
  const compiled = { ...config, workload: { ...config.workload, templates: out } }
  const task: ChildTask = { task: 'start', config: compiled }
  const starts: number[] = []
  for (let round = 0; round < STARTS; round++) {
    const { start } = await runChild<{ start: number }>('./child.js', task, { signal })
    starts.push(start)
  }
  return median(starts)
}

export function benchCommand(): Command {
  const command = new Command('bench')
    .summary('compare worker threads with inline sending on this machine')
    .description(
      'Compare worker threads with inline sending on this machine, with your template, and report at how many messages per ' +
        'minute threads pay off. Mail goes to a sink on loopback. The benchmark takes about two minutes and a half.',
    )
    .addOption(
      new Option(
        '--modes <list>',
        'modes to measure: naive, precompiled, bullmq, inline, memory, sqlite, redis, smtp-source (default: naive, precompiled, memory)',
      ).argParser(parseFamilies),
    )
    .addOption(
      new Option(
        '--threads <list>',
        'numbers of worker threads for memory, sqlite, and redis (default: 1,2 with --modes, otherwise 1)',
      ).argParser(parseCounts),
    )
    .addOption(
      new Option(
        '--rounds <n>',
        'number of rounds; figures are medians (default: 3, or fewer to stay within two minutes)',
      ).argParser(parseInteger(1)),
    )
    .addOption(
      new Option('--seconds <n>', 'length of each measured phase (default: 3)').argParser(parseSeconds),
    )
    .addOption(
      new Option('--messages <n>', 'end each phase early after this many messages').argParser(
        parseInteger(1),
      ),
    )
    .addOption(
      new Option(
        '--rate <n>',
        'messages per second on a fixed schedule (default: as fast as possible)',
      ).argParser(parseInteger(1)),
    )
    .addOption(
      new Option('--http <n>', 'requests per second to an Express route of the same process; 0 sends none')
        .argParser(parseInteger(0))
        .default(250),
    )
    .addOption(
      new Option('--connections <n>', 'SMTP connections in total').argParser(parseInteger(1)).default(10),
    )
    .addOption(
      new Option('--batch <n>', 'messages per call: 1 uses send(), more use sendMany()')
        .argParser(parseInteger(1))
        .default(1),
    )
    .addOption(
      new Option('--latency <ms>', 'latency to add to each round trip to the sink: 50ms')
        .argParser(parseLatency)
        .default(0),
    )
    .option('--tls', 'send over TLS, which a separate process terminates before the sink')
    .option('--auth', 'log in with AUTH PLAIN')
    .addOption(new Option('--dkim <algorithm>', 'sign each message with DKIM').choices(DKIM_ALGORITHMS))
    .option('--templates <dir>', 'folder of your templates (default: ./templates)')
    .option('--template <name>', 'name of your template (default: W1, a receipt)')
    .option('--data <file>', 'JSON file with its data, or JSON (default: the sample data next to it)')
    .option(
      '--smtp-sink <file>',
      "path of Postfix's smtp-sink (default: the one on the PATH, or a built-in sink)",
    )
    .option('--smtp-source <file>', "path of Postfix's smtp-source (default: the one on the PATH)")
    .option(
      '--redis <url>',
      'Redis server for redis and bullmq (default: starts the redis-server on the PATH)',
    )
    .option('--server <url>', 'your SMTP server, instead of the sink; requires --to and --from')
    .option('--i-own-this-server', 'confirm that the server may receive thousands of messages')
    .option('--to <address>', 'recipient, for --server')
    .option('--from <mailbox>', 'sender, for --server')
    .option('--targets', "also compare the figures with threadpost's design targets")
    .option(
      '--scaling',
      'also measure how the cost depends on threads, size, recipients, latency, and backlog',
    )
    .addOption(
      new Option(
        '--soak <time>',
        'send for this long (such as 20m) and report whether memory grows or the rate drops',
      ).argParser(parsePositiveDuration),
    )
    .option('--json', 'print JSON, and exit with 1 if the figures are not to be trusted')
    .option('--markdown', 'print tables as Markdown')
    .option('--html <file>', 'write a page with charts')
    .action(bench)
  return withExamples(command, {
    'find out whether you need threads': 'threadpost bench',
    'measure your own template':
      'threadpost bench --templates ./templates --template receipt --html bench.html',
    'measure one mode quickly, for a script': 'threadpost bench --modes memory --threads 1 --rounds 1 --json',
    'find out whether memory grows': 'threadpost bench --modes sqlite --threads 2 --soak 20m',
  })
}

async function bench(flags: BenchFlags): Promise<void> {
  const stop = new AbortController()
  const interrupt = (): void => stop.abort()
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', interrupt)
  try {
    const settings = { ...(await benchSettings(flags)), signal: stop.signal, progress: progressBar() }
    if (flags.soak === undefined) await printReport(await measureAll(settings, flags), flags)
    else await soak(settings, flags.soak / 1_000, flags.json === true)
  } catch (error) {
    if (!stop.signal.aborted) throw error
    console.error('threadpost: interrupted; all temporary files were removed')
    process.exitCode = 130
  } finally {
    process.off('SIGINT', interrupt)
    process.off('SIGTERM', interrupt)
  }
}

async function measureAll(settings: BenchSettings, flags: BenchFlags): Promise<BenchReport> {
  const report = await withSession(settings, async (session) => {
    const before = await lookAtMachine()
    const doubts = judgeMachine(before)
    if (doubts.length > 0) console.error(warningOf(doubts))
    // A round on a machine that was busy from the start proves nothing, however often it is repeated.
    const rounds = await runRounds(session, doubts.length === 0)
    if (rounds.modes.length === 0)
      throw new ThreadpostError(
        'UNSUPPORTED',
        `No mode could be measured: ${rounds.left.map(({ mode, reason }) => `${mode} was omitted: ${reason}`).join('; ')}`,
      )
    const rates = await measureRates(
      session,
      rounds.modes.map(({ mode }) => mode),
    )
    const result = judge(rounds, before, await lookAtMachine())
    if (rates.length > 0) result.rates = rates
    if (flags.targets === true) result.targets = targetsOf(result, await measureExtras(session))
    return result
  })
  if (flags.scaling === true) report.scaling = await runScaling(settings)
  return report
}

function warningOf(doubts: readonly string[]): string {
  return `warning: ${doubts.join('; ')}. The figures will not be trusted. To get a result, press Ctrl+C, end the other programs, and run the benchmark again.`
}

async function soak(settings: BenchSettings, seconds: number, json: boolean): Promise<void> {
  const mode = settings.modes.find(({ threads }) => threads > 0)
  if (mode === undefined)
    throw new ThreadpostError(
      'INVALID_OPTIONS',
      '--soak: requires one of the modes memory, sqlite, and redis',
    )
  const report = await withSession(settings, (session) => runSoak(session, mode, seconds))
  console.log(json ? JSON.stringify(report, null, 2) : soakTable(report))
  if (report.steady === false) process.exitCode = 1
}

async function printReport(report: BenchReport, flags: BenchFlags): Promise<void> {
  if (flags.html !== undefined) await writeFile(flags.html, pageOf(report))
  if (flags.json === true) {
    console.log(JSON.stringify(report, null, 2))
    if (!report.trusted) process.exitCode = 1
  } else if (flags.markdown === true) console.log(markdownOf(report))
  else {
    console.log(tableOf(report))
    if (report.rates !== undefined) console.log(`\n${ratesTable(report.rates)}`)
    if (report.targets !== undefined) console.log(`\n${targetTable(report.targets)}`)
    if (report.scaling !== undefined) console.log(`\n${scalingTable(report.scaling)}`)
    // Last, where the eye is.
    console.log(`\n${verdictOf(report)}`)
  }
}
