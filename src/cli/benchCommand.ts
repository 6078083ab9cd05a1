import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { Command, Option } from 'commander'
import { median } from '../bench/distribution.js'
import { modesOf } from '../bench/modes.js'
import { pageOf } from '../bench/page/resultsPage.js'
import { askChild } from '../bench/processes.js'
import type { BenchReport } from '../bench/report.js'
import { type BenchSettings, orderOf, runRounds, type Session, withSession } from '../bench/rounds.js'
import { measureBacklog, runScaling } from '../bench/scaling.js'
import { runSoak, soakTable } from '../bench/soak.js'
import { markdownOf, scalingTable, tableOf } from '../bench/table.js'
import { type Extra, targetsOf, targetTable } from '../bench/targets.js'
import { ThreadpostError } from '../errors.js'
import { wholeNumber } from './arguments.js'
import { type BenchFlags, benchSettings, countList, duration, familyList } from './benchSettings.js'
import { progressBar, withExamples } from './terminal.js'

const MILLION = 1_000_000
const STARTS = 3

/** What the targets ask for beside the rounds: a start with compiled templates, and a long queue. */
async function measureExtras(session: Session, backlog = MILLION): Promise<Extra> {
  const { progress } = session.settings
  progress?.(0, 3, 'start with compiled templates')
  const compiledStart = await startCompiled(session)
  progress?.(1, 3, 'a queue that is empty')
  const { measurement: empty } = await measureBacklog(session, 0)
  progress?.(2, 3, `${backlog} messages in the queue`)
  const { measurement: full } = await measureBacklog(session, backlog)
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

async function startCompiled(session: Session): Promise<number> {
  const [mode] = modesOf(['memory'], [1])
  if (mode === undefined) throw new Error('memory is a mode')
  const { signal } = session.settings
  const order = orderOf(session, mode)
  const built = path.join(session.stage.folder, 'compiled')
  await askChild<object>('./compiled.js', { from: order.workload.templates, to: built }, { signal })
  const starts: number[] = []
  for (let round = 0; round < STARTS; round++) {
    const compiled = { ...order, workload: { ...order.workload, templates: built } }
    const { start } = await askChild<{ start: number }>('./started.js', compiled, { signal })
    starts.push(start)
  }
  return median(starts)
}

export function benchCommand(): Command {
  const command = new Command('bench')
    .summary('measure threads beside inline sending, on this machine')
    .description(
      'Measure sending mail inline beside sending it from threads, on this machine, with your template, and say from how ' +
        'many mails a minute on threads pay off. Mail goes to a sink on loopback; it takes about two minutes.',
    )
    .addOption(
      new Option(
        '--modes <list>',
        'of naive, precompiled, bullmq, inline, memory, sqlite, redis, smtp-source (default: what is at hand)',
      ).argParser(familyList),
    )
    .addOption(
      new Option('--threads <list>', 'worker threads of memory, sqlite and redis')
        .argParser(countList)
        .default([1, 2], '1,2'),
    )
    .addOption(
      new Option(
        '--rounds <n>',
        'rounds; the median counts (default: 3, fewer if two minutes would be too short)',
      ).argParser(wholeNumber(1)),
    )
    .addOption(
      new Option('--seconds <n>', 'length of a measured phase (default: two minutes in all)').argParser(
        duration,
      ),
    )
    .addOption(
      new Option('--messages <n>', 'a phase ends after so many, if that comes first').argParser(
        wholeNumber(1),
      ),
    )
    .addOption(
      new Option('--rate <n>', 'mails a second, by the clock (default: as fast as possible)').argParser(
        wholeNumber(1),
      ),
    )
    .addOption(
      new Option('--http <n>', 'requests a second to an Express route of the same process; 0 is none')
        .argParser(wholeNumber(0))
        .default(250),
    )
    .addOption(
      new Option('--connections <n>', 'SMTP connections in all').argParser(wholeNumber(1)).default(10),
    )
    .addOption(
      new Option('--batch <n>', 'mails handed over in one call: send(), or sendMany() from 2 up')
        .argParser(wholeNumber(1))
        .default(1),
    )
    .addOption(
      new Option('--latency <ms>', 'how much longer a round trip to the sink takes')
        .argParser(wholeNumber(0))
        .default(0),
    )
    .option('--templates <dir>', 'folder of your own templates (default: ./templates)')
    .option('--template <name>', 'your own template (default: W1, a receipt)')
    .option('--data <file>', 'JSON file with its data (default: the sample beside it)')
    .option(
      '--smtp-sink <file>',
      "Postfix's smtp-sink (default: that of the PATH, else a sink of threadpost)",
    )
    .option('--smtp-source <file>', "Postfix's smtp-source (default: that of the PATH)")
    .option(
      '--redis <url>',
      'a Redis for redis and bullmq (default: a redis-server of the PATH, started for this)',
    )
    .option('--server <url>', 'an SMTP server of your own in place of the sink; needs --to and --from')
    .option('--i-own-this-server', 'it may be sent thousands of mails')
    .option('--to <address>', 'recipient, with --server')
    .option('--from <mailbox>', 'sender, with --server')
    .option('--targets', "measure what threadpost's design aims at, and say what is met and what is missed")
    .option('--scaling', 'also measure how the cost follows threads, size, recipients, latency and backlog')
    .addOption(
      new Option(
        '--soak <time>',
        'send for so long (20m) and say whether anything grows or slows down',
      ).argParser(duration),
    )
    .option('--json', 'print JSON')
    .option('--markdown', 'print the tables as Markdown')
    .option('--html <file>', 'write a page with charts')
    .action(bench)
  return withExamples(command, {
    'do I need threads?': 'threadpost bench',
    'with a mail of yours': 'threadpost bench --templates ./templates --template receipt --html bench.html',
    'one mode, quickly, for a script':
      'threadpost bench --modes memory --threads 1 --rounds 1 --seconds 2 --json',
    'does anything grow?': 'threadpost bench --modes sqlite --threads 2 --soak 20m',
  })
}

async function bench(flags: BenchFlags): Promise<void> {
  const stop = new AbortController()
  const interrupt = (): void => stop.abort()
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', interrupt)
  try {
    const settings = { ...(await benchSettings(flags)), signal: stop.signal, progress: progressBar() }
    if (flags.soak === undefined) await show(await measureAll(settings, flags), flags)
    else await soak(settings, flags.soak, flags.json === true)
  } catch (error) {
    if (!stop.signal.aborted) throw error
    console.error('threadpost: interrupted; nothing is left behind')
    process.exitCode = 130
  } finally {
    process.off('SIGINT', interrupt)
    process.off('SIGTERM', interrupt)
  }
}

async function measureAll(settings: BenchSettings, flags: BenchFlags): Promise<BenchReport> {
  const report = await withSession(settings, async (session) => {
    const found = await runRounds(session)
    if (flags.targets === true) found.targets = targetsOf(found, await measureExtras(session))
    if (found.modes.length === 0)
      throw new ThreadpostError(
        'UNSUPPORTED',
        `There was nothing to measure: ${found.left.map(({ mode, reason }) => `${mode} was left out: ${reason}`).join('; ')}`,
      )
    return found
  })
  if (flags.scaling === true) report.scaling = await runScaling(settings)
  return report
}

async function soak(settings: BenchSettings, seconds: number, json: boolean): Promise<void> {
  const mode = settings.modes.find(({ threads }) => threads > 0)
  if (mode === undefined)
    throw new ThreadpostError('INVALID_OPTIONS', '--soak: is for memory, sqlite and redis')
  const report = await withSession(settings, (session) => runSoak(session, mode, seconds))
  console.log(json ? JSON.stringify(report, null, 2) : soakTable(report))
  if (report.steady === false) process.exitCode = 1
}

async function show(report: BenchReport, flags: BenchFlags): Promise<void> {
  if (flags.html !== undefined) await writeFile(flags.html, pageOf(report))
  if (flags.json === true) console.log(JSON.stringify(report, null, 2))
  else if (flags.markdown === true) console.log(markdownOf(report))
  else {
    console.log(tableOf(report))
    if (report.targets !== undefined) console.log(`\n${targetTable(report.targets)}`)
    if (report.scaling !== undefined) console.log(`\n${scalingTable(report.scaling)}`)
  }
}
