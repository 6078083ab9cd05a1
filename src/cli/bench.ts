import { Command, Option } from 'commander'
import { tableOf } from '../bench/report.js'
import { type BenchSettings, runBench } from '../bench/runs.js'
import { dataFrom, wholeNumber } from './arguments.js'

interface BenchFlags {
  messages: number
  threads: number[]
  rounds: number
  templates?: string
  template?: string
  data?: string
  json?: boolean
}

export function benchCommand(): Command {
  return new Command('bench')
    .description(
      'Measure sending inline beside sending from threads, on this machine, against a sink on loopback.',
    )
    .addOption(new Option('--messages <n>', 'messages a run').argParser(wholeNumber(1)).default(500))
    .addOption(
      new Option('--threads <list>', 'thread counts to compare; 0 is inline')
        .argParser(list)
        .default([0, 1, 2], '0,1,2'),
    )
    .addOption(new Option('--rounds <n>', 'rounds; the median counts').argParser(wholeNumber(1)).default(3))
    .option('--templates <dir>', 'folder of your own templates')
    .option('--template <name>', 'your own template (default: the receipt W1)')
    .option('--data <file>', 'JSON file with its data')
    .option('--json', 'print JSON')
    .action(bench)
}

async function bench(flags: BenchFlags): Promise<void> {
  const { messages, threads, rounds } = flags
  const settings: BenchSettings = { messages, threads, rounds }
  const workload = await workloadOf(flags)
  if (workload !== undefined) settings.workload = workload
  if (process.stderr.isTTY)
    settings.progress = (done, of) => process.stderr.write(`\r${bar(done, of)}${done === of ? '\n' : ''}`)
  const report = await runBench(settings)
  console.log(flags.json === true ? JSON.stringify(report, null, 2) : tableOf(report))
}

async function workloadOf({ templates, template, data }: BenchFlags): Promise<BenchSettings['workload']> {
  if (template === undefined) return undefined
  return {
    templates: templates ?? 'templates',
    template,
    data: await dataFrom(data),
  }
}

function bar(done: number, of: number): string {
  const filled = Math.round((done / of) * 30)
  return `${'█'.repeat(filled)}${'░'.repeat(30 - filled)} ${done}/${of}`
}

function list(text: string): number[] {
  return text.split(',').map(wholeNumber(0))
}
